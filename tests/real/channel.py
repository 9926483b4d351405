"""A small conda channel, made by hand: what try_conda.py has conda install.

    channel = Channel(folder)
    channel.add("foo", "1.0", files={"share/foo.txt": "1.0"})
    channel.write()                 # repodata.json of every subdir

Archives are .conda, or .tar.bz2 where asked for. Nothing but the standard library is needed: the
zstd frames inside a .conda are of raw blocks.
"""

import hashlib
import importlib.util
import io
import json
import pathlib
import struct
import sys
import tarfile
import zipfile

ZSTD_MAGIC = 0xFD2FB528
ZSTD_BLOCK = 1 << 17  # the largest there may be, and our window
ZSTD_WINDOW = (17 - 10) << 3
PLACEHOLDER = "/placeholder_of_the_prefix_" + "_" * 200


def zstd(data):
    """A zstd frame that holds the data as it is."""
    frame = struct.pack("<IBB", ZSTD_MAGIC, 0, ZSTD_WINDOW)
    blocks = [data[i:i + ZSTD_BLOCK] for i in range(0, len(data), ZSTD_BLOCK)] or [b""]
    for block in blocks:
        last = block is blocks[-1]
        frame += struct.pack("<I", len(block) << 3 | last)[:3] + block
    return frame


def tar(files, mode=""):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=f"w{mode}", format=tarfile.GNU_FORMAT) as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


class Channel:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.packages = {"noarch": {}, "linux-64": {}}

    @property
    def url(self):
        return self.folder.as_uri()

    def add(self, name, version, *, build="0", subdir="noarch", depends=(), files=None,
            form=".conda", **index):
        """One package; its archive's path. A file with PLACEHOLDER gets the prefix in its place."""
        number = int(build.rpartition("_")[2])
        index = {"name": name, "version": version, "build": build, "build_number": number,
                 "subdir": subdir, "depends": list(depends), "license": "MIT",
                 "timestamp": 1760000000000, **index}
        payload = {path: text if isinstance(text, bytes) else text.encode()
                   for path, text in (files or {f"share/{name}.txt": version}).items()}
        paths = [path_entry(path, data) for path, data in sorted(payload.items())]
        info = {"info/index.json": index, "info/paths.json": {"paths_version": 1, "paths": paths}}
        if index.get("noarch") == "python":
            info["info/link.json"] = {"noarch": {"type": "python"},
                                      "package_metadata_version": 1}
        info = {path: json.dumps(what).encode() for path, what in info.items()}
        info["info/files"] = "".join(f"{path}\n" for path in sorted(payload)).encode()
        info["info/has_prefix"] = "".join(
            f'"{PLACEHOLDER}" text "{path["_path"]}"\n' for path in paths
            if "prefix_placeholder" in path).encode()
        return self._archive(f"{name}-{version}-{build}", form, index, info, payload)

    def _archive(self, stem, form, index, info, payload):
        target = self.folder / index["subdir"] / f"{stem}{form}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if form == ".conda":
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
                archive.writestr(f"pkg-{stem}.tar.zst", zstd(tar(payload)))
                archive.writestr(f"info-{stem}.tar.zst", zstd(tar(info)))
        else:
            target.write_bytes(tar({**info, **payload}, ":bz2"))
        data = target.read_bytes()
        self.packages[index["subdir"]][target.name] = {
            **index, "size": len(data), "md5": hashlib.md5(data).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest()}
        return target

    def write(self):
        for subdir, packages in self.packages.items():
            (self.folder / subdir).mkdir(parents=True, exist_ok=True)
            (self.folder / subdir / "repodata.json").write_text(json.dumps({
                "info": {"subdir": subdir}, "repodata_version": 1,
                "packages": {n: p for n, p in packages.items() if n.endswith(".bz2")},
                "packages.conda": {n: p for n, p in packages.items() if n.endswith(".conda")}}))


def path_entry(path, data):
    entry = {"_path": path, "path_type": "hardlink", "size_in_bytes": len(data),
             "sha256": hashlib.sha256(data).hexdigest()}
    if PLACEHOLDER.encode() in data:
        entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
    return entry


# --- a python whose interpreter is this machine's, and pip for it

def python_version():
    return "{}.{}.{}".format(*sys.version_info[:3])


def add_python(channel):
    """An interpreter that works in a prefix as a virtual environment's does."""
    real = pathlib.Path(sys._base_executable).resolve()
    minor = "{}.{}".format(*sys.version_info[:2])
    script = f'#!/bin/bash\nexec -a "{PLACEHOLDER}/bin/python" {real} "$@"\n'
    files = {f"bin/{name}": script for name in ("python", "python3", f"python{minor}")}
    files["pyvenv.cfg"] = f"home = {real.parent}\ninclude-system-site-packages = false\n"
    files[f"lib/python{minor}/site-packages/README.txt"] = "packages go here\n"
    channel.add("python", python_version(), build="h1_0", subdir="linux-64", files=files)


def add_python_package(channel, name, version, files=None, form=".conda"):
    """A noarch package with a dist-info, as conda-build makes them."""
    files = files or {f"{name}.py": f"version = '{version}'\n"}
    held = dist_info(name, version, files, "conda")
    channel.add(name, version, build="py_0", depends=["python"], noarch="python", form=form,
                files={f"site-packages/{path}": data for path, data in held.items()})


def add_pip(channel):
    """The pip this Python has, as a package. False: it has none."""
    spec = importlib.util.find_spec("pip")
    if spec is None:
        return False
    import pip
    folder = pathlib.Path(spec.origin).parent
    files = {str(path.relative_to(folder.parent)): path.read_bytes()
             for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    add_python_package(channel, "pip", pip.__version__, files)
    return True


def dist_info(name, version, files, installer):
    folder = f"{name}-{version}.dist-info"
    held = {**files,
            f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                                  "License: MIT\n",
            f"{folder}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if installer:
        held[f"{folder}/INSTALLER"] = f"{installer}\n"
    held[f"{folder}/RECORD"] = "".join(f"{path},,\n" for path in [*held, f"{folder}/RECORD"])
    return held


def wheel(folder, name, version):
    """A wheel, for pip to install; its path."""
    target = pathlib.Path(folder) / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in dist_info(name, version, {f"{name}.py": "\n"}, None).items():
            archive.writestr(path, data)
    return target
