"""The agent asks for the gate's pieces where bases lack them; root's helper takes the request as a stranger's."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import time
import unittest

import gate_base
import harness

OWNER = pwd.getpwnam("daemon")  # an account every system has; only root can become it
UNITS = harness.ROOT / "packaging/systemd"
HEAD = "envwarden-pieces-wanted 1\n"
GATE = "_envwarden_gate.py"
APART_S = 15  # the agent asks once in so long at most
SOON_S = 2  # and waits so long for what belongs together


def setting(unit, key):
    return next(line.partition("=")[2] for line in (UNITS / unit).read_text().splitlines()
                if line.startswith(f"{key}="))


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.base = gate_base.make_base(self.site.home / "base")
        self.set_python(self.base, sys.version_info[1])
        self.state = self.site.agent_state
        self.wanted = self.state / "pieces-wanted"

    @staticmethod
    def set_python(base, minor):
        """Makes it Python 3.<minor>, as conda leaves it: what is not conda's stays where it was."""
        for record in (base / "conda-meta").glob("python-*"):
            record.unlink()
        (base / "lib" / f"python3.{minor}" / "site-packages").mkdir(parents=True, exist_ok=True)
        text = {"name": "python", "version": f"3.{minor}.1", "build": "0", "build_number": 0,
                "depends": []}
        new = base / "conda-meta" / "new"
        new.write_text(json.dumps(text))
        new.rename(base / "conda-meta" / f"python-3.{minor}.1-0.json")

    def unit(self, *words, before=(), instance="wanted", state=None):
        """What the unit runs, with the programs and the folder of this test."""
        line = setting("envwarden-hooks@.service", "ExecStart").replace("%i", instance).split()
        self.assertEqual(line[0], "/usr/bin/envwarden")
        line[0] = harness.BIN / "envwarden"
        return self.site.run(*before, *line, "--state-dir", state or self.state, *words)

    def pieces(self, base=None, minor=None):
        """Of which Pythons of a base have them."""
        return sorted(p.parent.parent.name for p in (base or self.base).glob(
            f"lib/python3.{minor or '*'}/site-packages/{GATE}"))


class Asking(Case):
    def setUp(self):
        super().setUp()
        (self.site.home / ".conda").mkdir()
        (self.site.home / ".conda/environments.txt").write_text(f"{self.base}\n")
        self.mono = self.site.dir / "mono"
        self.mono.write_text("0\n")
        self.site.agent.preload("clock_ahead", MONO_FILE=self.mono)

    def pass_time(self):
        """As if so long had passed that the agent may ask again."""
        new = self.mono.with_suffix(".new")
        new.write_text(f"{int(self.mono.read_text()) + APART_S}\n")
        new.rename(self.mono)
        self.site.status()  # a clock that jumps wakes nobody

    def wait_wanted(self, *bases):
        text = HEAD + "".join(f"{os.getuid()} {b}\n" for b in bases)
        harness.wait_for(f"a request for {bases}", lambda: self.wanted.exists()
                         and (self.wanted.read_text() == text or self.wanted.read_text()))
        self.assertEqual(self.wanted.read_text(), text)
        self.assertEqual(self.wanted.stat().st_mode & 0o777, 0o600)

    def wait_wanted_again(self, *bases):
        self.pass_time()
        self.wait_wanted(*bases)

    def wait_known(self, has):
        """Until the agent knows whether the pieces are in the base."""
        def knows():
            shown = self.site.ew("show", self.base, "--json").json()
            return any(p["name"] == "envwarden-hooks" for p in shown["packages"]) == has
        harness.wait_for(f"pieces known: {has}", knows)

    def test_pieces_that_get_lost_are_asked_for(self):
        minor = sys.version_info[1]
        began = time.monotonic()
        self.site.start_agent()
        self.wait_wanted(self.base)
        self.assertRun(self.unit(), 0, None, r"base +3\.\d+ +placed")
        self.assertFalse(self.wanted.exists())
        self.assertRun(self.unit(), 0, "nothing is to be placed", r"\A\Z")
        self.wait_known(True)

        self.set_python(self.base, minor + 1)
        self.wait_known(False)
        time.sleep(SOON_S + 0.5)
        asked_again = self.wanted.exists()
        if time.monotonic() < began + APART_S:  # of its own time nothing has passed for the agent
            self.assertFalse(asked_again, "at most so often")
        self.pass_time()
        self.wait_wanted(self.base)
        self.assertRun(self.unit(), 0, None, "placed")
        self.assertEqual(self.pieces(), [f"python3.{minor}", f"python3.{minor + 1}"])
        self.wait_known(True)

        shutil.rmtree(self.base)
        gate_base.make_base(self.base)
        self.set_python(self.base, minor)
        self.wait_wanted_again(self.base)
        self.assertRun(self.unit(), 0, None, "placed")
        self.wait_known(True)

        # Only the names of folders are the agent's to see: a piece alone is left to the daily look.
        self.site.must("envwarden", "hooks", "remove", "--base", self.base)
        self.wait_wanted_again(self.base)

    def test_nothing_is_asked_twice(self):
        self.base.chmod(0o777)
        self.site.start_agent()
        self.wait_wanted(self.base)
        self.assertRun(self.unit(), 1, None, "unsafe")
        self.assertFalse(self.wanted.exists())
        other = gate_base.make_base(self.site.home / "other")
        self.set_python(other, sys.version_info[1])
        with open(self.site.home / ".conda/environments.txt", "a", encoding="utf-8") as file:
            file.write(f"{other}\n")
        self.site.record("--all")
        self.wait_wanted_again(other)  # and not the one where nothing could be placed
        # What nobody has taken stays in it, when the other one has changed.
        (self.base / "conda-meta" / "new-1-0.json").write_text(
            '{"name": "new", "version": "1", "build": "0", "build_number": 0, "depends": []}')
        self.site.record("--all")
        self.pass_time()
        harness.wait_for("both", lambda: self.wanted.read_text() == HEAD + "".join(
            f"{os.getuid()} {b}\n" for b in (self.base, other)))
        self.base.chmod(0o755)
        shutil.rmtree(other)
        self.assertRun(self.unit(), 1, None, r"base +3\.\d+ +placed[^/]*/\S*/other +- +failed")

    def test_a_new_agent_asks_again(self):
        """Nothing is lost for good with a request that was taken and not done, or never written."""
        self.site.start_agent()
        self.wait_wanted(self.base)
        self.wanted.unlink()
        self.site.agent.kill()
        self.site.start_agent()
        self.wait_wanted(self.base)
        before = self.wanted.stat()
        self.site.agent.kill()
        self.site.start_agent()
        self.site.record("--all")
        self.set_python(self.base, sys.version_info[1])
        harness.wait_for("a quiet agent", self.site.status)
        self.assertEqual(self.wanted.stat().st_ino, before.st_ino, "the same is not written again")

    @unittest.skipIf(os.getuid() != 0, "only root can make bases of others")
    def test_one_account_leaves_room_for_others(self):
        bases = [self.site.home / f"a{i}" for i in range(60)] + [self.site.home / "z"]
        for base in bases:
            (base / "conda-meta").mkdir(parents=True)
            gate_base.make_record(base)
            self.set_python(base, 11)
        for path in (bases[-1], *bases[-1].rglob("*")):
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
        (self.site.home / ".conda/environments.txt").write_text("".join(f"{b}\n" for b in bases))
        self.site.start_agent()
        def lines():
            return self.wanted.read_text().splitlines()[1:] if self.wanted.exists() else []
        harness.wait_for("all of them", lambda: f"{OWNER.pw_uid} {bases[-1]}" in lines()
                         and len(lines()) == 51)

    def test_a_request_that_cant_be_written(self):
        (self.state / "pieces-wanted" / "x").mkdir(parents=True)
        self.state.chmod(0o711)
        self.site.start_agent()
        harness.wait_for("the failure", lambda: "are not asked for" in
                         self.site.agent.log.read_text())
        self.assertTrue(self.site.status())
        self.assertEqual([p.name for p in self.state.glob("pieces-wanted*")], ["pieces-wanted"])


class Taking(Case):
    def setUp(self):
        super().setUp()
        self.state.mkdir(mode=0o711)

    def ask(self, *lines):
        self.wanted.write_text(HEAD + "".join(f"{line}\n" for line in lines))
        self.wanted.chmod(0o600)

    def refused(self, why):
        self.assertRun(self.unit(), 1, why, r"\A\Z")
        self.assertEqual(self.pieces(), [])
        self.assertFalse(os.path.lexists(self.wanted), "nobody is started for it again")
        self.assertEqual(list(self.state.iterdir()), [])

    def test_what_is_no_request(self):
        uid = os.getuid()
        line = f"{uid} {self.base}\n"
        real = self.site.dir / "real"
        real.write_text(HEAD + line)
        secret = self.site.dir / "secret"
        secret.write_text("s3cret\n")

        def write(text):
            self.wanted.write_bytes(text if isinstance(text, bytes) else text.encode())
            self.wanted.chmod(0o600)

        def endless():
            with open(self.wanted, "wb") as file:
                file.truncate(1 << 40)

        def writable():
            write(HEAD + line)
            self.wanted.chmod(0o620)

        cases = [
            (lambda: self.wanted.symlink_to(real), "a link"),
            (lambda: self.wanted.symlink_to("/dev/zero"), "a link"),
            (lambda: os.mkfifo(self.wanted), "not a regular file"),
            (self.wanted.mkdir, "not a regular file"),
            (lambda: self.wanted.symlink_to(self.wanted), "a link"),
            (endless, "larger than 65536"),
            (writable, r"others may write to pieces-wanted \(mode 0620\)"),
            (lambda: os.link(secret, self.wanted), "no list of bases"),
            (lambda: write(""), "no list"),
            (lambda: write(HEAD + line[:-1]), "cut off"),
            (lambda: write(HEAD + line + "x\n"), "line 3"),
            (lambda: write(HEAD + line + f"{uid} \xff/\n"), "line 3"),
            (lambda: write((HEAD + line).encode() + b"1 /\0\n"), "line 3"),
            (lambda: write(HEAD.replace("1", "2") + line), "newer version"),
            (lambda: write("x" * 65536 + "\n"), "larger than"),
        ]
        if uid == 0:
            def others():
                write(HEAD + line)
                os.chown(self.wanted, OWNER.pw_uid, OWNER.pw_gid)

            def device():
                os.mknod(self.wanted, 0o20600, os.makedev(1, 5))

            cases += [(others, "belongs to uid|Permission denied"), (device, "not a regular file|not permitted")]
        for make, why in cases:
            make()
            result = self.unit()
            self.assertNotIn("s3cret", result.out + result.err)
            self.assertEqual((result.code, result.out), (1, ""), repr(result))
            self.assertRegex(result.err, why)
            self.assertEqual(list(self.state.iterdir()), [], why)
            self.assertEqual(self.pieces(), [], why)
        self.assertEqual(secret.read_text(), "s3cret\n")

    def test_a_folder_of_others(self):
        self.ask(f"{os.getuid()} {self.base}")
        self.state.chmod(0o777)
        self.assertRun(self.unit(), 1, "others may write to", r"\A\Z")
        self.state.chmod(0o711)
        self.assertRun(self.unit(state=self.site.dir / "none"), 1, "none")
        self.assertRun(self.unit("--base", self.base), 2, "one base, or all")
        self.assertRun(self.site.ew("hooks", "remove", "--wanted"), 2, "with `place` alone")
        self.assertRun(self.site.ew("hooks", "place", "--all", "--state-dir", "/x"), 2, "--wanted")
        self.assertTrue(self.wanted.exists())

    def test_what_is_in_its_way(self):
        """A folder that can't be replaced: it fails, which the unit's limit ends, and goes on after."""
        (self.state / "pieces-wanted.taken" / "x").mkdir(parents=True)
        self.ask(f"{os.getuid()} {self.base}")
        self.assertRun(self.unit(), 1, "in the way")
        self.assertEqual(self.pieces(), [])
        shutil.rmtree(self.state / "pieces-wanted.taken")
        (self.state / "pieces-wanted.taken").write_text("of one who was killed")
        self.assertRun(self.unit(), 0, None, "placed")

    def test_lines_are_candidates(self):
        uid = os.getuid()
        plain = self.site.home / "plain"
        (plain / "conda-meta").mkdir(parents=True)
        link = self.site.home / "link"
        link.symlink_to(self.base)
        odd = gate_base.make_base(self.site.home / "od\nd")
        self.ask(f"{uid} /", f"{uid} /etc", f"{uid} {plain}", f"{uid} {self.site.home}/gone",
                 f"{uid} {self.base}/../base/conda-meta/history", f"{uid + 1} {self.base}",
                 f"4000000 {self.base}", f"{uid} {self.site.home}/od\\x0ad")
        result = self.unit("--json")
        self.assertEqual(result.code, 1, repr(result))
        told = {(b["prefix"].removeprefix(f"{self.site.home}/"), b["state"])
                for b in json.loads(result.out)["bases"]}
        self.assertLessEqual({("od\\x0ad", "placed"), ("gone", "failed")}, told)
        self.assertEqual(self.pieces(), [])
        self.assertTrue(self.pieces(odd))
        self.ask(f"{uid} {link}", f"{uid} {self.base}")
        self.assertRun(self.unit(), 0, None, "placed")

    @unittest.skipIf(os.getuid() != 0, "only root has rights to lose")
    def test_with_the_rights_of_the_unit(self):
        """An agent of an account of its own, members' bases, and root with the unit's rights alone."""
        self.site.dir.chmod(0o711)
        os.chown(self.state, OWNER.pw_uid, OWNER.pw_gid)
        for path in (self.site.home, *self.site.home.rglob("*")):
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid, follow_symlinks=False)
        roots = gate_base.make_base(self.site.dir / "roots")
        names = setting("envwarden-hooks@.service", "CapabilityBoundingSet").split()
        kept = ",".join("+" + name.removeprefix("CAP_").lower() for name in names)
        unit = ["/usr/bin/setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}",
                "--inh-caps=-all"]
        if not pathlib.Path(unit[0]).exists():
            self.skipTest("there is no setpriv")
        self.ask(f"{OWNER.pw_uid} {self.base}", f"0 {roots}", f"0 {self.base}",
                 f"{OWNER.pw_uid} {roots}")
        os.chown(self.wanted, OWNER.pw_uid, OWNER.pw_gid)
        result = self.unit("--json", before=unit)
        told = [b["state"] for b in json.loads(result.out)["bases"]]
        self.assertEqual(told, ["placed", "placed", "unsafe", "unsafe"], repr(result))
        self.assertEqual(list(self.state.iterdir()), [])
        for base, uid in ((self.base, OWNER.pw_uid), (roots, 0)):
            for path in base.rglob("*envwarden*"):
                self.assertEqual(path.lstat().st_uid, uid)


class Units(unittest.TestCase):
    def test_they_fit_together(self):
        self.assertEqual(setting("envwarden-hooks.path", "PathExists"),
                         "/var/lib/envwarden/pieces-wanted")
        self.assertEqual(setting("envwarden-hooks.path", "Unit"), "envwarden-hooks@wanted.service")
        self.assertEqual(setting("envwarden-hooks.timer", "Unit"), "envwarden-hooks@all.service")


if __name__ == "__main__":
    harness.main()
