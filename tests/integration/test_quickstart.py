"""packaging/quickstart.sh with the real programs: what a newcomer does, twice, and cleans up."""

import os
import shutil
import signal

import harness

SAMPLE = "sample/make-sample.sh"
SOON_S = 10


class Quickstart(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        # A copy outside of the source tree takes the programs that are installed: ours.
        self.share = site.dir / "share"
        self.share.mkdir()
        for name in ("quickstart.sh", "sample"):
            source = harness.ROOT / "packaging" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.share / name)
        self.state = site.dir / "qs"
        site.env["PATH"] = f"{harness.BIN}:{site.env['PATH']}"
        site.env["EW_QUICKSTART_DIR"] = str(self.state)
        site.env["ENVWARDEN_ADMIN_CONFIG"] = str(self.state / "admin.conf")
        site.socket = self.state / "agent.sock"

    def tearDown(self):
        for name in ("agent", "server"):
            pid = self.pid(name)
            if pid:
                os.kill(pid, signal.SIGKILL)
        super().tearDown()

    def pid(self, name):
        """The pid of a program the script started, None when it does not run."""
        file = self.state / f"{name}.pid"
        if not file.exists():
            return None
        pid, ticks = file.read_text().split()
        return int(pid) if harness.start_ticks(int(pid)) == ticks else None

    def quickstart(self, *words):
        return self.site.run(self.share / "quickstart.sh", *words, timeout=120)

    def kinds(self, prefix):
        """The changes of an environment, as agent and server tell them."""
        at_agent = self.site.ew("history", prefix, "--json").json()["changes"]
        at_server = self.site.admin("--json", "env", "history", prefix).json()["changes"]
        return [c["kind"] for c in at_agent], [c["kind"] for c in at_server]

    def wait_kinds(self, prefix, expected):
        harness.wait_for(f"{expected}", lambda: self.kinds(prefix) == (expected, expected), SOON_S)

    def wait_check(self, prefix, code):
        harness.wait_for(f"check to exit with {code}", lambda: self.site.ew(
            "check", "--prefix", prefix).code == code, SOON_S)

    def test_a_newcomer(self):
        site = self.site
        self.assertRun(self.quickstart("--stop"), 1, "was not made by this script")
        self.assertRun(self.quickstart(), 0, out=r"Try next[\s\S]*set-status")
        self.assertRun(self.quickstart("--status"), 0, out="server runs[\\s\\S]*agent runs")
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o700)
        sample = str(self.state / "envs" / "sample")
        harness.wait_for("the sample", lambda: self.kinds(sample)[1], SOON_S)
        # The job, by hand.
        prefix = str(site.home / ".conda" / "envs" / "mine")
        site.must(self.share / SAMPLE, "create", "mine", "ca-certificates-2024.2.2-hf0a4a13_0")
        self.wait_kinds(prefix, ["created"])
        self.assertRun(site.admin("env", "set-status", prefix, "block", "--message", "Ask IT"), 0)
        self.wait_check(prefix, 4)
        self.assertRun(site.ew("check", "--prefix", prefix), 4, "Ask IT")
        self.again(prefix)
        self.mended(prefix)
        self.stopped(prefix)
        for log in self.state.glob("*.log"):
            self.assertNotRegex(log.read_text(errors="replace"), harness.ALARM)
        self.assertRun(self.quickstart("--clean"), 0, out="removed")
        self.assertFalse(self.state.exists())
        self.assertRun(self.quickstart("--clean"), 0, out="nothing to remove")
        left = (site.home / ".conda" / "environments.txt").read_text()
        self.assertNotIn(sample, left)
        self.assertIn(prefix, left)

    def again(self, prefix):
        """A second run changes nothing."""
        pids = self.pid("server"), self.pid("agent")
        self.assertRun(self.quickstart(), 0, out="server runs already[\\s\\S]*agent runs already")
        self.assertEqual((self.pid("server"), self.pid("agent")), pids)
        self.assertEqual(self.kinds(prefix), (["created"], ["created"]))
        machines = self.site.admin("--json", "machine", "list").json()["machines"]
        self.assertEqual(len(machines), 1)

    def mended(self, prefix):
        """What died is started again."""
        for name in ("agent", "server"):
            pid = self.pid(name)
            os.kill(pid, signal.SIGKILL)
            harness.wait_for(f"the end of the {name}", lambda name=name: self.pid(name) is None)
            self.assertRun(self.site.ew("check", "--prefix", prefix), 4, "Ask IT")
            self.assertRun(self.quickstart("--status"), 1, out=f"{name} does not run")
            self.assertRun(self.quickstart(), 0, out=f"{name} started")
            self.assertIsNotNone(self.pid(name))

    def stopped(self, prefix):
        """After --stop nothing runs, the block holds, and what happens meanwhile comes later."""
        self.assertRun(self.quickstart("--stop"), 0)
        self.assertIsNone(self.pid("agent"))
        self.assertIsNone(self.pid("server"))
        self.assertRun(self.quickstart("--status"), 1)
        self.assertRun(self.site.ew("check", "--prefix", prefix), 4, "Ask IT")
        self.site.must(self.share / SAMPLE, "install", "mine", "libsqlite-3.40.0-hcfcfb64_0")
        self.assertRun(self.quickstart(), 0)
        self.wait_kinds(prefix, ["created", "installed"])
        machines = self.site.admin("--json", "machine", "list").json()["machines"]
        self.assertEqual(len(machines), 1)


if __name__ == "__main__":
    harness.main()
