"""Writes environments as conda 26.7 writes them: the same files, in the same order.

Without conda, and without the packages' own files but a few. What conda did is in
tests/fixtures/recordings (read by replay.py); here are the same steps for tests that need many
environments and changes that nobody recorded.
"""

import json
import os
import pathlib
import time

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
RECORD_FOLDERS = (FIXTURES / "recordings" / "records", FIXTURES / "conda-meta")
CONDA = "/opt/miniforge3/lib/python3.11/site-packages/conda/__main__.py"
SITE_PACKAGES = "lib/python3.11/site-packages"


def record_file(dist):
    """The fixture that is the record of "name-version-build"."""
    for folder in RECORD_FOLDERS:
        path = folder / f"{dist}.json"
        if path.exists():
            return path
    raise KeyError(f"no record of {dist} in the fixtures")


def record_bytes(dist):
    return record_file(dist).read_bytes()


def history_name(dist):
    """How history names a package: CHANNEL/SUBDIR::NAME-VERSION-BUILD"""
    record = json.loads(record_bytes(dist))
    channel = record["channel"].rstrip("/")
    if not channel.endswith("/" + record["subdir"]):
        channel += "/" + record["subdir"]
    return f"{channel}::{dist}"


def history_head(words, minus=(), plus=()):
    """The first of the two writes that make a section of history."""
    lines = [time.strftime("==> %Y-%m-%d %H:%M:%S <=="), f"# cmd: {CONDA} {words}",
             "# conda version: 26.7.1"]
    lines += ["-" + name for name in sorted(map(history_name, minus))]
    lines += ["+" + name for name in sorted(map(history_name, plus))]
    return "".join(line + "\n" for line in lines).encode()


def created_at():
    return f"{time.time():.7f}".encode()


def dist_info(name, version):
    """The files of a wheel's dist-info as pip writes them, RECORD last."""
    folder = f"{name}-{version}.dist-info"
    record = [f"{name}/__init__.py,,", f"{folder}/INSTALLER,,", f"{folder}/METADATA,,",
              f"{folder}/REQUESTED,,", f"{folder}/WHEEL,,", f"{folder}/RECORD,,"]
    project = name.replace("_", "-")
    return {
        "METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n\nA sample.\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: flit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "INSTALLER": "pip\n",
        "direct_url.json": json.dumps({"url": f"file:///srv/{name}", "dir_info": {}}),
        "REQUESTED": "",
        "RECORD": "\n".join(record) + "\n",
    }


class Writer:
    """Changes environments below one home. pace_s: how long to wait between operations."""

    def __init__(self, home, pace_s=0):
        self.listing = pathlib.Path(home) / ".conda" / "environments.txt"
        self.pace_s = pace_s

    def _pause(self):
        if self.pace_s:
            time.sleep(self.pace_s)

    def _write(self, path, data, mode="wb"):
        """In place and in two pieces, as nothing promises that a file is seen whole."""
        with open(path, mode, buffering=0) as file:
            file.write(data[:len(data) // 2])
            self._pause()
            file.write(data[len(data) // 2:])
        self._pause()

    def register(self, prefix):
        self.listing.parent.mkdir(parents=True, exist_ok=True)
        known = self.listing.read_text().splitlines() if self.listing.exists() else []
        if str(prefix) not in known:
            self._write(self.listing, f"{prefix}\n".encode(), "ab")

    def unregister(self, prefix):
        rest = [x for x in self.listing.read_text().splitlines() if x != str(prefix)]
        self._write(self.listing, "".join(x + "\n" for x in rest).encode())

    def _history(self, meta, words, minus, plus, specs):
        history = meta / "history"
        aside = meta / "history.c~"
        if history.exists():
            self._write(aside, history.read_bytes())
        else:
            self._write(meta / "created_at", created_at())
        self._write(history, history_head(words, minus, plus), "ab")
        self._write(history, f"# {specs}\n".encode(), "ab")
        return [aside] if aside.exists() else []

    def create(self, prefix, dists, words=None):
        prefix = pathlib.Path(prefix)
        meta = prefix / "conda-meta"
        prefix.mkdir(parents=True)
        meta.mkdir()
        (meta / "history").write_bytes(b"")
        (meta / "history").unlink()
        for dist in dists:
            self._write(meta / f"{dist}.json", record_bytes(dist))
        self.register(prefix)
        self._history(meta, words or f"create -y -p {prefix} {' '.join(dists)}", [], dists,
                      f"update specs: {list(dists)}")

    def change(self, prefix, minus, plus, words):
        """Takes packages out and puts packages in, in one transaction."""
        prefix = pathlib.Path(prefix)
        meta = prefix / "conda-meta"
        aside = []
        for dist in minus:
            aside.append(meta / f"{dist}.json.c~")
            os.rename(meta / f"{dist}.json", aside[-1])
            self._pause()
        for dist in plus:
            self._write(meta / f"{dist}.json", record_bytes(dist))
        verb = "update" if plus else "remove"
        aside += self._history(meta, words, minus, plus, f"{verb} specs: []")
        for path in aside:
            path.unlink()
            self._pause()

    def remove_all(self, prefix, words=None):
        prefix = pathlib.Path(prefix)
        meta = prefix / "conda-meta"
        dists = [path.name[:-5] for path in sorted(meta.glob("*.json"))]
        self.change(prefix, dists, [], words or f"remove -y -p {prefix} --all")
        for path in sorted(meta.iterdir()):
            path.unlink()
        meta.rmdir()
        prefix.rmdir()
        self.unregister(prefix)
