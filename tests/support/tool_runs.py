"""What conda, mamba, pixi, pip, uv and people do to environments, as generators of small steps.

    for _ in Tools(home).conda_create(prefix, dists): pause()

A step is one operation on a file; between two steps others may run, time may pass, and a run may
end for good (close() the generator: killed) or be interrupted (throw Interrupted into it: what the
tool does about SIGINT follows). A step yields SLOW where the real tool may take any time (downloads,
linking of big packages, scripts of packages), None where the next operation follows at once.

The order of operations is that of the recordings (tests/fixtures/recordings) where there is one,
else that of the tools' sources. The packages' own files are left out but for a few.
"""

import itertools
import json
import os
import pathlib
import shutil
import time

from conda_writer import (SITE_PACKAGES, created_at, dist_info, history_head, history_name,
                          record_bytes)

SLOW = "slow"
PIXI_TOOL = "pixi"


class Interrupted(Exception):
    """SIGINT or SIGTERM."""


def records(prefix):
    """The dists installed, as the names of the records tell."""
    return sorted(path.name[:-len(".json")] for path in (prefix / "conda-meta").glob("*.json"))


def _write(path, data, mode="wb"):
    """In place: made or cut, half of it, the rest, closed."""
    with open(path, mode, buffering=0) as file:
        yield
        if len(data) > 4096:  # smaller ones go out in one piece
            file.write(data[:len(data) // 2])
            yield
            data = data[len(data) // 2:]
        file.write(data)
        yield
    yield


def _write_aside(path, data, aside):
    """Under another name, then renamed."""
    yield from _write(aside, data)
    os.replace(aside, path)
    yield


def _remove_tree(folder):
    """As rm -rf and rmtree do: depth first, in directory order."""
    with os.scandir(folder) as entries:
        entries = list(entries)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _remove_tree(entry.path)
        else:
            pathlib.Path(entry.path).unlink(missing_ok=True)
            yield
    try:
        os.rmdir(folder)
    except OSError:
        return  # somebody has put something there meanwhile
    yield


class Tools:
    """Runs of one account. Names of environments do not matter: every run is by path."""

    def __init__(self, home, scratch):
        self.home = pathlib.Path(home)
        self.listing = self.home / ".conda" / "environments.txt"
        self.scratch = pathlib.Path(scratch)
        self.scratch.mkdir(exist_ok=True)
        self.listing.parent.mkdir(exist_ok=True)
        self.count = itertools.count(1)

    # --- environments.txt

    def _register(self, prefix):
        known = self.listing.read_text().splitlines() if self.listing.exists() else []
        yield
        if str(prefix) not in known:
            yield from _write(self.listing, f"{prefix}\n".encode(), "ab")

    def _unregister(self, prefix):
        known = self.listing.read_text().splitlines() if self.listing.exists() else []
        yield
        rest = [x for x in known if x != str(prefix) and os.path.isdir(f"{x}/conda-meta")]
        yield from _write(self.listing, "".join(x + "\n" for x in rest).encode())

    # --- conda

    def _conda_probe(self, prefix):
        """Whether the prefix may be written to."""
        meta = prefix / "conda-meta"
        probe = prefix / f".tmp.index.json.{next(self.count):08x}"
        probe.touch()
        yield
        probe.unlink()
        yield
        if not meta.exists():
            meta.mkdir()
            yield
        history = meta / "history"
        new = not history.exists()
        open(history, "ab").close()
        yield
        if new:
            history.unlink()
            yield

    def _conda_files(self, prefix, dists):
        """A file for each package, hard-linked from the cache."""
        for dist in dists:
            folder = prefix / "share" / dist
            folder.mkdir(parents=True, exist_ok=True)
            yield SLOW
            (folder / "data.txt").touch()
            yield
            if dist.startswith("python-"):
                (prefix / SITE_PACKAGES).mkdir(parents=True, exist_ok=True)
                yield

    def _conda_transaction(self, prefix, minus, plus, words, specs, rewrites=True, late_failure=False):
        """The whole run, undone when it is interrupted or fails late."""
        new = not prefix.exists()
        meta = prefix / "conda-meta"
        undo = []  # what takes each step back, newest last
        try:
            if new:
                prefix.mkdir(parents=True)
                undo.append(lambda: shutil.rmtree(prefix))
                yield
            yield from self._conda_probe(prefix)
            scratch = prefix / ".condatmp"
            if rewrites and plus:
                scratch.mkdir(exist_ok=True)
                undo.append(lambda: shutil.rmtree(scratch, ignore_errors=True))
                yield SLOW
            held = []
            for dist in minus:
                for path in (prefix / "share" / dist / "data.txt", meta / f"{dist}.json"):
                    aside = path.with_name(path.name + ".c~")
                    if path.exists():
                        os.rename(path, aside)
                        held.append(aside)
                        undo.append(lambda path=path, aside=aside: os.rename(aside, path))
                    yield
            yield SLOW  # scripts before unlinking and after linking
            yield from self._conda_files(prefix, plus)
            yield SLOW
            for dist in plus:
                record = meta / f"{dist}.json"
                undo.append(lambda record=record: record.unlink(missing_ok=True))
                yield from _write(record, record_bytes(dist))
            yield from self._register(prefix)
            yield from self._conda_history(meta, minus, plus, words, specs, held, undo)
            if late_failure:
                raise Interrupted
        except Interrupted:
            for step in reversed(undo):
                step()
                yield
            return
        for aside in held:
            aside.unlink(missing_ok=True)
            yield
        shutil.rmtree(scratch, ignore_errors=True)
        yield

    @staticmethod
    def _conda_history(meta, minus, plus, words, specs, held, undo):
        history = meta / "history"
        aside = meta / "history.c~"
        if history.exists():
            yield from _write(aside, history.read_bytes())
            os.utime(aside, ns=(history.stat().st_atime_ns, history.stat().st_mtime_ns))
            held.append(aside)
            undo.append(lambda: (history.unlink(missing_ok=True), os.rename(aside, history)))
        else:
            yield from _write(meta / "created_at", created_at())
            undo.append(lambda: history.unlink(missing_ok=True))
        yield from _write(history, history_head(words, minus, plus), "ab")
        yield from _write(history, f"# {specs}\n".encode(), "ab")

    def conda_create(self, prefix, dists, rewrites=True):
        yield from self._conda_transaction(prefix, [], dists, f"create -y -p {prefix} "
                                           + " ".join(dists), f"update specs: {dists}", rewrites)

    def conda_install(self, prefix, dists, late_failure=False, rewrites=True):
        """Packages of the same name are replaced."""
        names = {dist.rsplit("-", 2)[0] for dist in dists}
        there = records(prefix)
        minus = [x for x in there if x.rsplit("-", 2)[0] in names and x not in dists]
        plus = [x for x in dists if x not in there]
        yield from self._conda_transaction(
            prefix, minus, plus, f"install -y -p {prefix} {' '.join(dists)}",
            f"update specs: {dists}", rewrites, late_failure)

    def conda_remove(self, prefix, dists):
        yield from self._conda_transaction(prefix, dists, [], f"remove -y -p {prefix} "
                                           + " ".join(dists), f"remove specs: {dists}")

    def conda_clone(self, source, prefix):
        dists = records(source)
        yield from self._conda_transaction(prefix, [], dists, f"create -y -p {prefix} --clone "
                                           f"{source}", f"update specs: {dists}")

    def conda_rename(self, source, prefix, force=False):
        """All of "create" there, then the old one is plainly deleted."""
        aside = None
        if force and prefix.exists():
            aside = self.scratch / f"rename{next(self.count)}"
            aside.mkdir()
            os.rename(prefix, aside / prefix.name)
            yield
        dists = records(source)
        yield from self._conda_transaction(
            prefix, [], dists, f"rename {'--yes ' if force else ''}-p {source} {prefix}",
            f"update specs: {dists}")
        yield from _remove_tree(source)
        if aside:
            yield from _remove_tree(aside)

    def conda_remove_all(self, prefix, words="remove -y -p {} --all"):
        meta = prefix / "conda-meta"
        yield from self._conda_transaction(prefix, records(prefix), [], words.format(prefix),
                                           "remove specs: []")
        for path in [meta / "history", *(x for x in sorted(meta.iterdir()) if x.name != "history")]:
            path.unlink(missing_ok=True)
            yield
        yield from _remove_tree(prefix)
        yield from self._unregister(prefix)

    def conda_env_remove(self, prefix):
        yield from self.conda_remove_all(prefix, "env remove -y -p {}")

    @staticmethod
    def conda_vars(prefix, value):
        yield from _write(prefix / "conda-meta" / "state",
                          json.dumps({"env_vars": {"X": str(value)}}, indent=2).encode())

    def conda_probe(self, prefix):
        """A run that stops when it has looked (`install --dry-run`, "all requested there")."""
        yield from self._conda_probe(prefix)

    @staticmethod
    def conda_list(prefix, dist):
        """Reading: a record whose Python distribution has gone is deleted, without a word."""
        (prefix / "conda-meta" / f"{dist}.json").unlink(missing_ok=True)
        yield

    # --- mamba and micromamba

    def _mamba_transaction(self, prefix, minus, plus, command, fails=False):
        meta = prefix / "conda-meta"
        lock = meta / "conda-meta.lock"
        lock.touch()
        yield SLOW  # downloads
        done = []
        try:
            for dist in minus:
                shutil.rmtree(prefix / "share" / dist, ignore_errors=True)
                yield
                (meta / f"{dist}.json").unlink(missing_ok=True)
                done.append(("unlinked", dist))
                yield
            for dist in plus:
                yield from self._conda_files(prefix, [dist])
                done.append(("linked", dist))
                yield from _write(meta / f"{dist}.json", record_bytes(dist))
            if fails:
                raise Interrupted
        except Interrupted:
            for what, dist in reversed(done):
                if what == "linked":
                    (meta / f"{dist}.json").unlink(missing_ok=True)
                    yield
                else:
                    yield from _write(meta / f"{dist}.json", record_bytes(dist))
            lock.unlink()
            yield
            return
        lines = [time.strftime("==> %Y-%m-%d %H:%M:%S <=="), f"# cmd: {command}",
                 "# conda version: 3.8.0"]
        lines += ["-" + history_name(x) for x in minus] + ["+" + history_name(x) for x in plus]
        lines += [f"# update specs: {json.dumps(plus)}"]
        with open(meta / "history", "ab", buffering=0) as history:
            for line in lines:
                history.write(line.encode() + b"\n")
                yield
        yield
        lock.unlink(missing_ok=True)
        yield

    def mamba_create(self, prefix, dists, program="micromamba"):
        prefix.mkdir(parents=True)
        yield
        (prefix / "conda-meta").mkdir()
        yield
        (prefix / "conda-meta" / "history").touch()
        yield
        yield from self._register(prefix)
        yield SLOW
        if dists:
            yield from self._mamba_transaction(prefix, [], dists, f"{program} create -y -p {prefix} "
                                               + " ".join(dists))

    def mamba_install(self, prefix, dists, program="micromamba", fails=False):
        names = {dist.rsplit("-", 2)[0] for dist in dists}
        there = records(prefix)
        minus = [x for x in there if x.rsplit("-", 2)[0] in names and x not in dists]
        plus = [x for x in dists if x not in there]
        yield from self._mamba_transaction(prefix, minus, plus,
                                           f"{program} install -y -p {prefix} {' '.join(dists)}", fails)

    def mamba_remove(self, prefix, dists, program="micromamba"):
        yield from self._mamba_transaction(prefix, dists, [],
                                           f"{program} remove -y -p {prefix} {' '.join(dists)}")

    def mamba_env_remove(self, prefix, program="micromamba"):
        yield from self._mamba_transaction(prefix, records(prefix), [],
                                           f"{program} env remove -y -p {prefix}")
        yield from _remove_tree(prefix)
        yield from self._unregister(prefix)

    # --- pixi

    def _pixi_record(self, meta, dist):
        yield from _write_aside(meta / f"{dist}.json", record_bytes(dist),
                                meta / f"prefix_record_{next(self.count):06x}")

    def pixi_install(self, prefix, dists, wheels=()):
        """Makes the environment what is asked for: also its creation, and a re-installation."""
        meta = prefix / "conda-meta"
        if not meta.exists():
            meta.mkdir(parents=True)
            yield
        yield from _write(meta / ".pixi-environment-fingerprint", b"pixi:installing!")
        if not (meta / "history").exists():
            (meta / "history").touch()
            yield
            (prefix / "CACHEDIR.TAG").touch()
            yield
        yield SLOW
        there = records(prefix)
        for dist in there:
            if dist not in dists:
                (meta / f"{dist}.json").unlink()
                yield
        for dist in dists:
            if dist not in there:
                yield from self._conda_files(prefix, [dist])
                yield from self._pixi_record(meta, dist)
        yield from _write(meta / ".pixi-environment-fingerprint",
                          f"{next(self.count):016x}".encode())
        yield from _write(meta / "pixi_env_prefix", str(meta).encode())
        yield from _write(meta / "history", b"// not relevant for pixi but for `conda run -p`")
        if wheels:
            yield SLOW  # downloads
            yield from self.uv_install(prefix, *wheels[0], installer="uv-pixi")
        yield from _write(meta / "pixi", json.dumps({
            "manifest_path": str(prefix / "pixi.toml"), "environment_name": prefix.name,
            "pixi_version": "0.77.0", "environment_lock_file_hash": "%016x" % next(self.count),
        }, indent=2).encode())

    # --- pip and uv

    def pip_install(self, prefix, name, version, editable=False):
        """Also an upgrade: the old one is renamed first, and deleted last."""
        site = prefix / SITE_PACKAGES
        stashed = yield from self._pip_stash(site, name)
        files = dist_info(name, version)
        folder = site / f"{name}-{version}.dist-info"
        if editable:
            files["direct_url.json"] = json.dumps({"url": f"file:///srv/{name}",
                                                   "dir_info": {"editable": True}})
            yield from _write(site / f"__editable__.{name}-{version}.pth", b"/srv\n")
        else:
            (site / name).mkdir(exist_ok=True)
            yield SLOW
            yield from _write(site / name / "__init__.py", b"")
        folder.mkdir()
        yield
        for part in ("METADATA", "WHEEL"):
            yield from _write(folder / part, files[part].encode())
        yield SLOW  # .pyc files
        for part in ("INSTALLER", "direct_url.json", "REQUESTED", "RECORD"):
            aside = folder / f"{part}{next(self.count):06x}.tmp"
            if part == "REQUESTED":
                yield from _write(folder / part, b"")
            else:
                yield from _write_aside(folder / part, files[part].encode(), aside)
        yield from self._pip_commit(stashed)

    @staticmethod
    def _pip_stash(site, name):
        stashed = []
        for path in sorted(site.iterdir()):
            if path.name == name or path.name.startswith(f"{name}-"):
                aside = site / ("~" + path.name[1:])
                if aside.exists():
                    shutil.rmtree(aside)  # a leftover of an earlier run
                os.rename(path, aside)
                stashed.append(aside)
                yield
        return stashed

    @staticmethod
    def _pip_commit(stashed):
        for aside in stashed:
            yield from _remove_tree(aside)

    def pip_uninstall(self, prefix, name):
        stashed = yield from self._pip_stash(prefix / SITE_PACKAGES, name)
        yield from self._pip_commit(stashed)

    def uv_install(self, prefix, name, version, installer="uv"):
        """The wheel's files are linked from the cache, its RECORD with them, and then written."""
        site = prefix / SITE_PACKAGES
        for path in sorted(site.iterdir()):
            if path.name == name or path.name.startswith(f"{name}-"):
                yield from _remove_tree(path)
        files = dist_info(name, version)
        folder = site / f"{name}-{version}.dist-info"
        (site / name).mkdir()
        yield
        (site / name / "__init__.py").touch()
        yield
        folder.mkdir()
        yield
        for part in ("METADATA", "WHEEL", "RECORD"):
            (folder / part).write_text(files[part])  # a link: it comes whole
            yield
        for part, text in (("INSTALLER", installer), ("REQUESTED", ""), ("RECORD", files["RECORD"])):
            yield from _write(folder / part, text.encode())

    # --- people

    @staticmethod
    def move(source, target):
        os.rename(source, target)
        yield

    @staticmethod
    def remove(prefix):
        yield from _remove_tree(prefix)

    def copy(self, source, target, times=True):
        """cp -a; or an unpacked archive, whose folders get their times last."""
        target.mkdir()
        yield
        with os.scandir(source) as entries:
            entries = list(entries)
        for entry in entries:
            to = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self.copy(pathlib.Path(entry.path), to, times)
            else:
                with open(entry.path, "rb") as file:
                    data = file.read()
                yield from _write(to, data)
                if times:
                    shutil.copystat(entry.path, to)
                    yield
        if times:
            shutil.copystat(source, target)
        yield

    @staticmethod
    def config(prefix, name, text):
        """`pinned` or `frozen`: written, or removed with None."""
        path = prefix / "conda-meta" / name
        if text is None:
            path.unlink(missing_ok=True)
            yield
        else:
            yield from _write(path, text.encode())
