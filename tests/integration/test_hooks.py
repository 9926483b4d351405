"""`envwarden hooks`: pieces in a base are placed, told of and removed, and nothing else is touched."""

import hashlib
import os
import pwd
import random
import signal
import struct
import subprocess
import sys
import time
import unittest

import gate_base
import harness

OWNER = pwd.getpwnam("daemon")  # an account every system has; only root can become it
GATE = "_envwarden_gate.py"
PIECES = {GATE, "envwarden_conda.py", "envwarden.pth", "envwarden_hooks-1.dist-info"}


class Hooks(harness.Case):
    def setUp(self):
        super().setUp()
        self.base = gate_base.make_base(self.site.home / "base")
        self.packages = gate_base.site_packages(self.base)

    def hooks(self, action, *words, code=0, state=None, why="", base=None):
        """One base, and what is told of it."""
        base = base or self.base
        result = self.site.ew("hooks", action, "--base", base, "--json", *words)
        self.assertEqual(result.code, code, repr(result))
        told = harness.json.loads(result.out)["bases"]
        self.assertEqual([t["prefix"] for t in told], [str(base)])
        if state:
            self.assertEqual(told[0]["state"], state, repr(result))
        if why:
            self.assertRegex(told[0].get("why", ""), why)
        return told[0]

    def tree(self, base=None):
        """Every file below a base, with what is in it and when it was written."""
        return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_uid, p.read_bytes()
                         if p.is_file() else b"") for p in (base or self.base).rglob("*")}

    def names(self):
        return {p.name for p in self.packages.iterdir()} - {"conda", "__pycache__"}

    def test_placed_and_removed(self):
        before = {path: rest[1:] for path, rest in self.tree().items()}
        self.hooks("status", code=5, state="missing", why=GATE)
        self.hooks("place", state="placed", why="^$")
        self.assertEqual(self.names(), PIECES)
        placed = self.tree()
        self.hooks("place", state="placed")
        self.assertEqual(self.tree(), placed, "placing twice changes nothing")
        self.assertEqual(self.hooks("status", state="placed")["pythons"],
                         f"3.{sys.version_info[1]}")
        subprocess.run([self.base / "bin" / "python", "-c", f"import {GATE[:-3]}"], check=True,
                       env=self.site.env)
        self.assertTrue(list((self.packages / "__pycache__").iterdir()))
        self.hooks("remove", state="missing", why="^$")
        self.assertFalse(list((self.packages / "__pycache__").iterdir()))
        (self.packages / "__pycache__").rmdir()
        self.assertEqual({path: rest[1:] for path, rest in self.tree().items()}, before)
        self.hooks("remove", state="missing")

    def test_the_hashes_are_those_of_the_files(self):
        self.hooks("place")
        told = dict(reversed(line.split("  ")) for line in self.site.must(
            "envwarden", "hooks", "status", "--hashes").out.splitlines())
        self.assertIn("envwarden.start", told)
        for path in self.packages.rglob("*"):
            name = str(path.relative_to(self.packages))
            if name in told:
                self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), told.pop(name))
        self.assertEqual(set(told), {"envwarden.start"})

    def test_which_python_gets_which_piece(self):
        for name in ("python3.17", "python3.18", "python3.14t"):
            (self.base / "lib" / name / "site-packages").mkdir(parents=True)
        (self.base / "lib" / "python3.1").symlink_to("python3.17")
        self.hooks("place", state="placed")
        for name, start in (("python3.17", False), ("python3.18", True), ("python3.14t", False)):
            folder = self.base / "lib" / name / "site-packages"
            self.assertTrue((folder / "envwarden.pth").exists())
            self.assertEqual((folder / "envwarden.start").exists(), start, name)

    def test_older_pieces_are_replaced(self):
        self.hooks("place")
        gate = self.packages / GATE
        text = gate.read_text()
        gate.write_text(text.replace("PATIENCE_S = 1.0", "PATIENCE_S = 9.0"))
        (self.packages / "envwarden.start").write_text("# placed by envwarden\n")
        self.hooks("status", code=5, state="outdated", why=GATE)
        self.hooks("place", state="placed")
        self.assertEqual(gate.read_text(), text)
        self.assertEqual(self.names(), PIECES)

    def test_nothing_is_left(self):
        """Not by a placing that was killed, nor in the folders of a Python that is there no more."""
        old = self.base / "lib" / "python3.9"
        (old / "site-packages").mkdir(parents=True)
        (old / "site-packages" / "mine").touch()
        before = set(self.tree())
        self.hooks("place", state="placed")
        for name in ("envwarden.pth.1234.0", f"{GATE}.1.15", "envwarden_hooks-1.dist-info/RECORD.9.1"):
            (self.packages / name).write_text("half of i")
        kept = {str(self.packages / name) for name in ("envwarden.pth.bak", "envwarden.pth.1",
                                                       "envwarden.pth.1.x", "x.pth.1.2")}
        for name in kept:
            open(name, "w", encoding="utf-8").close()
        self.hooks("remove", state="missing")
        self.assertEqual(set(self.tree()), before | kept)
        (old / "site-packages" / "mine").unlink()
        self.hooks("place", state="placed")
        (old / "site-packages" / "__pycache__").mkdir()
        (old / "site-packages" / "__pycache__" / f"{GATE[:-3]}.cpython-39.pyc").touch()
        self.hooks("remove", state="missing")
        self.assertFalse(old.exists())
        self.assertTrue(self.packages.exists())

    def test_half_of_the_pieces(self):
        """Whatever is gone of them, the rest is removed, and placed again."""
        self.hooks("place")
        pieces = [p for p in self.packages.rglob("*") if "envwarden" in str(p) and p.is_file()]
        before = {p: p.read_bytes() for p in pieces}
        for piece in pieces:
            piece.unlink()
            self.hooks("status", code=5, state="missing", why=piece.name)
            self.hooks("place", state="placed")
            self.assertEqual({p: p.read_bytes() for p in pieces}, before)
            piece.unlink()
            self.hooks("remove", state="missing")
            self.assertEqual(self.names(), set())
            self.hooks("place", state="placed")

    def test_why_a_file_counts_as_foreign(self):
        self.hooks("place")
        gate = self.packages / GATE
        gate.unlink()
        gate.symlink_to("envwarden.pth")
        self.hooks("place", code=1, state="foreign", why=f"{GATE}: a link, not followed")
        gate.unlink()
        gate.write_text("# mine\n")
        self.hooks("place", code=1, state="foreign", why=f"{GATE} is somebody else's")

    @unittest.skipIf(os.getuid() != 0, "only root may mount")
    def test_disks_that_take_nothing(self):
        """Full, or read-only: it fails, and what is left is neither loaded nor shown as placed."""
        code = """
import os, subprocess, sys
ew, room, base = sys.argv[1:]
def run(*words):
    subprocess.run(words, check=True)
def hooks(action):
    done = subprocess.run([ew, "hooks", action, "--base", room + "/base"], capture_output=True)
    print(done.returncode, done.stdout.decode().split()[6:], done.stderr.decode())
    found = []
    for folder, _, names in os.walk(room + "/base"):
        found += [n for n in names + [os.path.basename(folder)] if "envwarden" in n]
    print(sorted(found))
run("mount", "-t", "tmpfs", "-o", "mode=755,size=4m", "none", room)
run("cp", "-a", base, room + "/base")
with open(room + "/filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        filler.truncate(os.fstat(filler.fileno()).st_size // 4096 * 4096 - 2 * 4096)
for action in "place", "status", "remove":
    hooks(action)
os.unlink(room + "/filler")
hooks("place")
run("mount", "-o", "remount,ro", room)
hooks("place")
hooks("remove")
run("mount", "-o", "remount,rw", room)
hooks("remove")
run("mount", "-o", "remount,ro", room)
hooks("remove")
run("umount", room)
"""
        room = self.site.dir / "room"
        room.mkdir()
        done = self.site.run("/usr/bin/unshare", "--mount", sys.executable, "-c", code,
                             harness.BIN / "envwarden", room, self.base)
        if done.code != 0:
            self.skipTest(f"nothing can be mounted here: {done.err}")
        lines = done.out.splitlines()
        self.assertEqual(len(lines), 16, repr(done))
        told, found = lines[::2], lines[1::2]
        self.assertRegex(told[0], r"^1 .*'failed'.*No.*space")
        self.assertNotIn(".dist-info", found[0])
        self.assertRegex(told[1], r"^5 .*'missing'")
        self.assertRegex(told[2], r"^0 .*'missing'")
        self.assertEqual(found[2], "[]")
        self.assertRegex(told[3], r"^0 .*'placed'")
        self.assertRegex(told[4], r"^0 .*'placed'")  # nothing to be written
        self.assertRegex(told[5], r"^1 .*'failed'.*Read-only")
        self.assertEqual(found[5], found[3])
        self.assertRegex(told[6], r"^0 .*'missing'")
        self.assertRegex(told[7], r"^0 .*'missing'")  # nothing to be removed

    def test_access_lists(self):
        """Others who may write by an access list show in the mode as the owner's own group."""
        def acl(*entries):
            return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)

        nobody = 0xffffffff
        lists = acl((1, 7, nobody), (2, 7, 4321), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody))
        reads = acl((1, 7, nobody), (2, 5, 4321), (4, 5, nobody), (16, 5, nobody), (32, 5, nobody))
        for path in (self.base, self.packages, self.site.home):
            try:
                os.setxattr(path, "system.posix_acl_access", lists)
            except OSError as error:
                self.skipTest(f"no access lists here: {error}")
            if not path.stat().st_mode & 0o020:
                self.skipTest("access lists do not show in the mode")
            group = pwd.getpwuid(os.getuid()).pw_gid
            os.chown(path, -1, group)
            self.hooks("place", code=1, state="unsafe", why="others may write to .*access list")
            os.setxattr(path, "system.posix_acl_access", reads)
            self.hooks("place", state="placed")
            self.hooks("remove", state="missing")

    def test_ways_to_name_a_base(self):
        """As somebody types it: relative, with slashes, by a link, from within, with odd names."""
        (self.site.home / "link").symlink_to(self.base)
        for name in ("base", "base/", "./base//", "link", "link/", "base/../base", "base/lib/.."):
            told = self.site.ew("hooks", "status", "--base", name, "--json")
            self.assertEqual([b["prefix"] for b in harness.json.loads(told.out)["bases"]],
                             [str(self.base)], name)
        for name in ("base/lib", "base/bin/python", "", "."):
            result = self.site.ew("hooks", "place", "--base", name)
            self.assertEqual(result.code, 1, repr(result))
        odd = self.site.home / "a b\n\x1b[2J"
        self.base.rename(odd)
        result = self.site.ew("hooks", "place", "--base", odd)
        self.assertEqual(result.code, 0, repr(result))
        self.assertIn("a b\\x0a\\x1b[2J", result.out)
        self.assertNotIn("\x1b", result.out)

    def test_killed_at_any_time(self):
        """Whenever it ends: Python and the gate work, or are as if nothing had been placed."""
        seconds = 0.03
        states = set()
        for i in range(40):
            action = ("place", "remove")[i % 2]
            words = [harness.BIN / "envwarden", "hooks", action, "--base", self.base]
            begin = time.monotonic()
            process = subprocess.Popen(words, env=self.site.env, stdout=subprocess.DEVNULL,
                                       start_new_session=True)
            if i < 2:  # how long it takes
                process.wait()
                seconds = max(seconds, time.monotonic() - begin)
                continue
            time.sleep(seconds * random.random())
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            done = self.site.run(self.base / "bin" / "python", "-c", "pass")
            self.assertEqual((done.code, done.out, done.err), (0, "", ""))
            told = self.told("status")
            self.assertIn(told["state"], ("placed", "missing"))
            states.add(told["state"])
            shows = (self.packages / "envwarden_hooks-1.dist-info" / "METADATA").exists()
            gate = (self.packages / "envwarden.pth").exists() and (self.packages / GATE).exists()
            self.assertTrue(gate or not shows, "what shows is whole")
        self.hooks("place", state="placed")
        self.hooks("remove", state="missing")
        self.assertEqual(self.names(), set())

    def test_two_at_once(self):
        """Whoever looks meanwhile finds either file whole; at the end all of them are there."""
        others = [subprocess.Popen([harness.BIN / "envwarden", "hooks", "place", "--base",
                                    self.base], env=self.site.env, stdout=subprocess.PIPE,
                                   text=True) for _ in range(8)]
        for other in others:
            out, _ = other.communicate()
            self.assertEqual(other.returncode, 0, out)
        self.hooks("status", state="placed")
        self.assertEqual(self.names(), PIECES)

    def test_what_others_have_placed_stays(self):
        (self.packages / GATE).write_text("# mine\n")
        before = self.tree()
        self.hooks("place", code=1, state="foreign", why=GATE)
        self.hooks("remove", code=1, state="foreign")
        self.assertEqual(self.tree(), before)

    def test_links_lead_nowhere(self):
        secret = self.site.dir / "secret"
        secret.write_text("placed by envwarden\n")
        elsewhere = self.site.dir / "elsewhere"
        elsewhere.mkdir()
        for link, to, state in ((self.packages / GATE, secret, "foreign"),
                                (self.packages / "envwarden_hooks-1.dist-info", elsewhere,
                                 "foreign|failed"),
                                (self.packages, elsewhere, "unsafe"),
                                (self.base / "lib", elsewhere, "unsafe")):
            kept = link.with_name("kept")
            if link.exists():
                link.rename(kept)
            link.symlink_to(to)
            for action in ("place", "remove"):
                told = self.told(action)
                self.assertRegex(told["state"], f"{state}|missing" if action == "remove" else state)
            self.assertEqual(secret.read_text(), "placed by envwarden\n")
            self.assertEqual(list(elsewhere.iterdir()), [])
            link.unlink()
            if kept.exists():
                kept.rename(link)
        self.hooks("place", state="placed")

    def test_what_is_no_file(self):
        """A pipe, an endless device, a file without end, others' files in the place of ours."""
        gate = self.packages / GATE
        secret = self.site.dir / "secret"
        secret.write_text("mine\n")
        for make in (lambda: os.mkfifo(gate), lambda: gate.symlink_to("/dev/zero"), gate.mkdir,
                     lambda: os.link(secret, gate), lambda: self.endless(gate)):
            make()
            for action in ("place", "remove"):
                self.hooks(action, code=1, state="foreign", why=GATE)
            gate.rmdir() if gate.is_dir() else gate.unlink()
        self.assertEqual(secret.read_text(), "mine\n")
        os.mkfifo(self.packages / "envwarden_hooks-1.dist-info")
        self.hooks("place", code=1, state="failed", why="not a directory")

    @staticmethod
    def endless(path):
        with open(path, "wb") as file:
            file.truncate(1 << 40)

    @unittest.skipIf(os.getuid() != 0, "only root works as others")
    def test_folders_that_are_swapped_meanwhile(self):
        """The owner of a base turns its folder into a link, and back, all the time."""
        self.site.dir.chmod(0o711)
        roots = self.site.dir / "roots"
        roots.mkdir()
        for path in (self.site.home, *self.site.home.rglob("*")):
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid, follow_symlinks=False)
        swap = subprocess.Popen(
            ["/bin/sh", "-c", 'while :; do mv "$0" "$0.k"; ln -s "$1" "$0"; rm "$0"; mv "$0.k" "$0";'
             " done", self.packages, roots], user=OWNER.pw_uid, group=OWNER.pw_gid,
            stderr=subprocess.DEVNULL)
        try:
            for i in range(20):
                self.site.ew("hooks", ("place", "remove")[i % 2], "--base", self.base)
        finally:
            swap.kill()
            swap.wait()
        self.assertEqual(list(roots.iterdir()), [])

    def told(self, action):
        result = self.site.ew("hooks", action, "--base", self.base, "--json")
        return harness.json.loads(result.out)["bases"][0]

    def test_unsafe_bases_are_refused(self):
        for path in (self.base, self.base / "lib", self.packages.parent, self.packages):
            path.chmod(0o777)
            self.hooks("place", code=1, state="unsafe", why="others may write")
            self.assertEqual(self.names(), set())
            path.chmod(0o755)
        self.site.home.chmod(0o777)  # whoever can rename the base
        self.hooks("place", code=1, state="unsafe", why=r"others may write to .*home")
        self.site.home.chmod(0o1777)
        self.hooks("place", state="placed")

    def test_what_is_no_base(self):
        (self.base / "conda-meta" / "conda-26.7.1-py_0.json").unlink()
        self.hooks("place", code=1, state="none", why="no base")
        self.assertEqual(self.names(), set())
        self.assertRun(self.site.ew("hooks", "place", "--base", self.site.dir / "no"), 1, "no:")
        self.assertRun(self.site.ew("hooks", "place"), 2, "--base PATH or --all")
        self.assertRun(self.site.ew("hooks"), 2, "place, remove or status")

    def test_all_that_the_agent_knows(self):
        site = self.site
        self.assertRun(site.ew("hooks", "status"), 3, "the agent is not running")
        env = self.base / "envs" / "work" / "conda-meta"
        env.mkdir(parents=True)
        (env / "history").write_text("")
        (site.home / ".conda").mkdir()
        (site.home / ".conda" / "environments.txt").write_text(f"{self.base}\n{env.parent}\n")
        site.start_agent()
        harness.wait_for("both environments", lambda: len(
            site.ew("list", "--json").json()["environments"]) == 2)
        self.assertRun(site.ew("hooks", "status"), 5, None, r"base\s+3\.\d+\s+missing")
        self.assertRun(site.ew("hooks", "place", "--all"), 0, None, r"base\s+3\.\d+\s+placed")
        self.assertEqual(len(site.ew("hooks", "status", "--json").json()["bases"]), 1)
        self.assertEqual(self.names(), PIECES)

    @unittest.skipIf(os.getuid() != 0, "only root becomes the owner of a base")
    def test_root_becomes_the_owner(self):
        self.site.dir.chmod(0o711)
        for path in (self.site.home, *self.site.home.rglob("*")):
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid, follow_symlinks=False)
        self.hooks("place", state="placed")
        for path in self.packages.rglob("*envwarden*"):
            self.assertEqual(path.stat().st_uid, OWNER.pw_uid, path)
        self.hooks("remove", state="missing")
        # Root could write here; the owner can't.
        self.packages.chmod(0o555)
        self.hooks("place", code=1, state="failed", why="[Pp]ermission|not permitted")
        self.packages.chmod(0o755)
        os.chown(self.packages, 0, 0)
        os.chown(self.base, 12345, 0)  # nobody's
        self.hooks("place", code=1, state="failed")

    def test_root_of_a_container_of_one_account(self):
        """Who is root there alone, and may become nobody else."""
        words = ["/usr/bin/unshare", "--user", "--map-root-user"]
        if self.site.run(*words, "/bin/true").code != 0:
            self.skipTest("no user namespaces here")
        result = self.site.run(*words, harness.BIN / "envwarden", "hooks", "place", "--base",
                               self.base)
        self.assertRun(result, 0, None, "placed")
        self.assertEqual(self.names(), PIECES)

    @unittest.skipIf(os.getuid() != 0, "only root can be somebody else")
    def test_others_bases_are_left_to_them(self):
        self.site.dir.chmod(0o711)
        result = subprocess.run(
            [harness.BIN / "envwarden", "hooks", "place", "--base", self.base],
            user=OWNER.pw_uid, group=OWNER.pw_gid, extra_groups=[], capture_output=True, text=True,
            env=self.site.env, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("belongs to somebody else", result.stdout)


class Plugin(harness.Case):
    """The commands of conda, without conda: what they start."""

    PLUGINS = '''
import collections
CondaSubcommand = collections.namedtuple("CondaSubcommand", "name summary action")
def hookimpl(function):
    return function
'''
    RUN = '''
import sys
import envwarden_conda
commands = {c.name: c.action for c in envwarden_conda.conda_subcommands()}
sys.exit(commands[sys.argv[1]](tuple(sys.argv[2:])))
'''

    def test_what_is_started(self):
        site = self.site
        base = gate_base.make_base(site.home / "base")
        conda = gate_base.site_packages(base) / "conda"
        (conda / "plugins.py").write_text(self.PLUGINS)
        (conda / "base").mkdir()
        (conda / "base" / "__init__.py").write_text("")
        (conda / "base" / "context.py").write_text(
            "def locate_prefix_by_name(name):\n    return '/envs/' + name\n")
        command = site.dir / "envwarden"
        command.write_text('#!/bin/sh\necho "$@"\n[ "$2" != audit ] || exit ${AUDIT-0}\n')
        command.chmod(0o755)
        text = (harness.ROOT / "packaging/hooks/base/envwarden_conda.py").read_text()
        (conda.parent / "envwarden_conda.py").write_text(
            text.replace("@ENVWARDEN@", f'"{command}"'))

        def run(*words, **env):
            return site.run(base / "bin" / "python", "-c", self.RUN, *words, **env)

        for words, started in (
                (("env-log",), f"history --prefix {base}"),
                (("env-log", "-n", "a", "--since", "2d"), "history --prefix /envs/a --since 2d"),
                (("env-log", "--name=a"), "history --prefix /envs/a"),
                (("env-log", "-p", "x"), f"history --prefix {site.home}/x"),
                (("env-log", "--help"), "history --help"),
                (("audit", "-n", "a"), "audit --prefix /envs/a")):
            self.assertRun(run(*words), 0, None, rf"\A{started}\n\Z")
        self.assertRun(run("env-log", CONDA_PREFIX="/b"), 0, None, "history --prefix /b\n")
        self.assertRun(run("audit", AUDIT="2"), 2, "has no audit yet", r"\A\Z")
        command.unlink()
        self.assertRun(run("env-log"), 1, "envwarden: ")


if __name__ == "__main__":
    harness.main()
