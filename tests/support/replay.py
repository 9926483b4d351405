#!/usr/bin/env python3
"""Replays the recordings of real conda runs (tests/fixtures/recordings) on a disk.

    replay.py --envs DIR --home DIR [--pace-ms N] NAME...

A recording is what inotify saw, an operation a line, E/ being the folder of environments and H/ the
home. It tells names and order; contents come from here: records are real, history and
environments.txt are what conda would have written at that time. Recordings miss what happened in a
folder made a moment before (the watch came later): such files are made when they are first named.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import time

import conda_writer
from conda_writer import FIXTURES, SITE_PACKAGES

RECORDINGS = FIXTURES / "recordings"
URL = "file:///srv/channel/linux-64::"


class Scenario:
    """What a recorded run was asked to do, and what had to be there before it."""

    def __init__(self, env, words="", minus=(), plus=(), specs="", needs=None, lost=None):
        self.env, self.words, self.specs, self.needs = env, words, specs, needs
        self.lost = lost  # a distribution deleted by hand before the run
        self.minus, self.plus = minus, plus


# In an order in which each finds what it starts from.
SCENARIOS = {
    "create": Scenario("t2", "create -y -n t2 foo", (), ("foo-1.0-0", "libfoo-1.0-0"),
                       "# update specs: ['foo']\n"),
    "install": Scenario("t2", "install -y -n t2 openssl=1.1.1w", (), ("openssl-1.1.1w-h_0",),
                        "# update specs: ['openssl=1.1.1w']\n"),
    "update": Scenario("t2", "update -y -n t2 openssl", ("openssl-1.1.1w-h_0",),
                       ("openssl-3.0.14-h_0",),
                       "# update specs: ['openssl']\n# neutered specs: ['openssl']\n"),
    "remove": Scenario("t2", "remove -y -n t2 openssl", ("openssl-3.0.14-h_0",), (),
                       "# remove specs: ['openssl']\n"),
    "rename": Scenario("t3", "rename -n t2 t3", (), ("foo-1.0-0", "libfoo-1.0-0"),
                       f"# update specs: ['{URL}foo==1.0=0', '{URL}libfoo==1.0=0']\n"),
    "removeall": Scenario("t3", "remove -y -n t3 --all", ("foo-1.0-0", "libfoo-1.0-0")),
    "createempty": Scenario("t4", "create -y -n t4"),
    "rollback": Scenario("f1", "install -y -n f1 badpkg", ("openssl-1.1.1w-h_0",),
                         ("badpkg-1.0-0", "openssl-3.0.7-h_0"), "# update specs: ['badpkg']\n",
                         needs=("openssl-1.1.1w-h_0",)),
    "pipinstall": Scenario("py1", needs=("python-3.11.9-h_0", "pip-24.0-0")),
    "listdel": Scenario("py2", needs=("python-3.11.9-h_0", "fakepy-1.0-py_0"),
                        lost="fakepy-1.0.dist-info"),
    "vars": Scenario("r2", needs=("foo-1.0-0", "libfoo-1.0-0")),
}


def operations(name):
    """The recording as (operation, path) pairs."""
    for line in (RECORDINGS / f"{name}.ev").read_text().splitlines():
        words, path = line.split(" ", 1)
        flags = words.split(",")
        yield flags[0] + ("_DIR" if "ISDIR" in flags else ""), path


class Opened:
    """A file that is being written: what is left to write, and in how many pieces."""

    def __init__(self, file, data, pieces):
        self.file, self.data, self.pieces = file, data, pieces

    def write_one(self):
        n = len(self.data) // self.pieces if self.pieces > 1 else len(self.data)
        self.file.write(self.data[:n])
        self.data = self.data[n:]
        self.pieces = max(1, self.pieces - 1)

    def finish(self):
        self.file.write(self.data)
        self.file.close()


class Replayer:
    def __init__(self, envs, home, pace_ms=0):
        self.roots = {"E": pathlib.Path(envs), "H": pathlib.Path(home)}
        self.pace_s = pace_ms / 1000
        for root in self.roots.values():
            root.mkdir(parents=True, exist_ok=True)
        (self.roots["H"] / ".conda").mkdir(exist_ok=True)

    def prefix(self, name):
        return self.roots["E"] / SCENARIOS[name].env

    def prepare(self, name):
        """Makes what the recording starts from; True if there was something to make."""
        scenario = SCENARIOS[name]
        if scenario.needs is None or self.prefix(name).exists():
            return False
        prefix = self.prefix(name)
        conda_writer.Writer(self.roots["H"]).create(
            prefix, scenario.needs, f"create -y -n {scenario.env} {' '.join(scenario.needs)}")
        for dist in scenario.needs:
            if dist.startswith("python-"):
                self._make_distributions(prefix, scenario.needs)
            if dist.startswith("openssl-"):
                (prefix / "share" / "openssl").mkdir(parents=True)
                (prefix / "share" / "openssl" / "data.txt").write_text("openssl\n")
        return True

    def _make_distributions(self, prefix, dists):
        """What the records claim in site-packages."""
        (prefix / SITE_PACKAGES).mkdir(parents=True)
        for dist in dists:
            for path in json.loads(conda_writer.record_bytes(dist))["files"]:
                if path.endswith(".dist-info/RECORD"):
                    folder = (prefix / path).parent
                    folder.mkdir()
                    for member, text in self._dist_info(folder).items():
                        (folder / member).write_text(text)

    def replay(self, name):
        self.scenario = SCENARIOS[name]
        if self.scenario.lost:
            shutil.rmtree(self.prefix(name) / SITE_PACKAGES / self.scenario.lost)
        self.opened = {}
        self.moving = None
        self.history_writes = self._count_history_writes(name)
        self.history_written = 0
        self.ops = list(operations(name))
        for self.at, (operation, path) in enumerate(self.ops):
            path = self.roots[path[0]] / path[2:]
            if not operation.startswith("DELETE"):
                path.parent.mkdir(exist_ok=True)
            getattr(self, "_" + operation.lower())(path)
            if self.pace_s:
                time.sleep(self.pace_s)
        if self.opened:
            raise ValueError(f"{name}: ends with {list(self.opened)} open")

    # --- contents

    @staticmethod
    def _count_history_writes(name):
        return sum(operation == "MODIFY" and path.endswith("/conda-meta/history")
                   for operation, path in operations(name))

    def _history_section(self):
        """conda writes a section in two goes; a run that has no specs, in one."""
        first = self.history_written == 0
        self.history_written += 1
        s = self.scenario
        head = conda_writer.history_head(s.words, s.minus, s.plus)
        if self.history_writes == 1:
            return head + s.specs.encode()
        return head if first else s.specs.encode()

    def _listing(self, path):
        """(mode, data): a line more, or the file anew without the environment that went."""
        prefix = self.roots["E"] / self.scenario.env
        if prefix.exists():
            return "ab", f"{prefix}\n".encode()
        lines = [x for x in path.read_text().splitlines() if x != str(prefix)]
        return "wb", "".join(x + "\n" for x in lines).encode()

    def _content(self, path):
        """(mode, data) of a file that is now opened for writing."""
        name = path.name
        if name == "environments.txt":
            return self._listing(path)
        if name == "history":
            return "ab", self._history_section()
        if name == "history.c~":
            return "wb", path.with_name("history").read_bytes()
        if name == "created_at":
            return "wb", conda_writer.created_at()
        if name == "state":
            return "wb", b'{\n  "env_vars": {\n    "X": "1"\n  }\n}'
        if path.parent.name == "conda-meta" and name.endswith(".json"):
            return "wb", conda_writer.record_bytes(name[:-len(".json")])
        if path.parent.name.endswith(".dist-info"):
            for member, text in self._dist_info(path.parent).items():
                if name.startswith(member):
                    return "wb", text.encode()
        return "ab", b"x\n"

    @staticmethod
    def _dist_info(folder):
        name, version = folder.name[:-len(".dist-info")].split("-")
        return conda_writer.dist_info(name, version)

    # --- what comes later in the recording

    def _modifies_until_closed(self, path):
        """How many writes are seen before the file is closed; None: it is never closed."""
        n = 0
        for operation, other in self.ops[self.at:]:
            if self.roots[other[0]] / other[2:] != path:
                continue
            if operation == "MODIFY":
                n += 1
            elif operation == "CLOSE_WRITE":
                return n
            elif operation not in ("CREATE", "ATTRIB"):
                return None
        return None

    def _open(self, path):
        pieces = self._modifies_until_closed(path) + 1
        mode, data = self._content(path)
        self.opened[path] = Opened(open(path, mode, buffering=0), data, pieces)

    # --- operations

    def _create(self, path):
        modifies = self._modifies_until_closed(path)
        if modifies:
            self._open(path)
        elif modifies == 0 or path.name.startswith(".tmp.") or path.name == "history":
            path.touch()
        else:
            # Linked from the package cache: it comes whole.
            source = self.roots["H"] / ".replay-package-file"
            source.write_bytes(b"x\n")
            os.link(source, path)
            source.unlink()

    def _modify(self, path):
        if path not in self.opened:
            self._open(path)
            if self.opened[path].file.mode == "wb":
                return  # opening it has cut it to nothing: that is the first modification
        self.opened[path].write_one()

    def _close_write(self, path):
        opened = self.opened.pop(path, None)
        if opened:
            opened.finish()
        elif path.exists() or path.name in ("history", ".conda_envs_dir_test"):
            open(path, "ab").close()  # looked whether it may be written
        else:
            mode, data = self._content(path)
            with open(path, mode) as file:
                file.write(data)

    def _attrib(self, path):
        if path.exists():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime))
        else:
            path.touch()

    def _delete(self, path):
        path.unlink()

    def _create_dir(self, path):
        path.mkdir()
        if path.name.endswith(".dist-info"):
            for member in ("METADATA", "WHEEL"):
                (path / member).write_text(self._dist_info(path)[member])
        elif path.parent.name == "site-packages":
            (path / "__init__.py").write_text("")

    def _delete_dir(self, path):
        path.rmdir()

    def _delete_self(self, path):
        """The same deletion, seen from the folder itself."""

    def _moved_from(self, path):
        self.moving = path

    def _moved_to(self, path):
        os.rename(self.moving, path)
        self.moving = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--envs", required=True, help="the folder of environments")
    parser.add_argument("--home", required=True)
    parser.add_argument("--pace-ms", type=float, default=0, help="between operations")
    parser.add_argument("names", nargs="+", metavar="NAME", choices=list(SCENARIOS))
    args = parser.parse_args()
    replayer = Replayer(args.envs, args.home, args.pace_ms)
    for name in args.names:
        replayer.prepare(name)
        replayer.replay(name)


if __name__ == "__main__":
    sys.exit(main())
