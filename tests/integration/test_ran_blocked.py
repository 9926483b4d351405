"""Programs that run in a blocked environment, past every gate: told by whom and when, no others."""

import shutil
import subprocess
import time

import harness

import conda_writer  # beside replay.py: harness says where

CONFIG = "sweep_s = 10\nsettle_ms = 50\n"


class Ran(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.agent_config.write_text(CONFIG)
        self.prefix = self.site.envs / "etl"
        conda_writer.Writer(self.site.home).create(self.prefix, ["libfoo-1.0-0"])
        (self.prefix / "bin").mkdir(exist_ok=True)
        shutil.copy("/bin/sleep", self.prefix / "bin" / "python3")

    def run_in_it(self):
        time.sleep(0.2)  # what begins so soon after a block may have begun before
        process = subprocess.Popen([self.prefix / "bin" / "python3", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def block(self, status="block"):
        site = self.site
        words = ["--message", "Ask IT"] if status != "ok" else []
        self.assertRun(site.admin("env", "set-status", self.prefix, status, *words), 0)
        harness.wait_for(status, lambda: site.ew(
            "check", "--prefix", self.prefix, "--timeout-ms", "5000").code
            == (4 if status == "block" else 0))

    def begin(self):
        site = self.site
        site.start_everything()
        site.log_in_command()
        harness.wait_for("it at the server", lambda: str(self.prefix) in {
            env["prefix"] for env in site.api("/environments")["environments"]})

    def ran(self):
        return self.site.ew("show", self.prefix, "--json").json()["environment"].get(
            "ran_after_block")

    def looked(self):
        """The agent has looked at what runs, as each sweep does."""
        before = self.last_used()
        harness.wait_for("a look", lambda: self.last_used() != before, 150)

    def last_used(self):
        return self.site.ew("show", self.prefix, "--json").json()["environment"].get("last_used")

    def test_what_began_after_the_block_is_told(self):
        self.begin()
        early = self.run_in_it()
        self.block()
        self.assertIsNone(self.ran())
        self.looked()
        self.assertIsNone(self.ran(), "it began before")
        self.run_in_it()
        told = harness.wait_for("the sight of it", self.ran, 150)
        self.assertEqual(told["times"], 1)
        self.assertEqual(told["uid"], harness.os.getuid())
        self.assertRun(self.site.ew("show", self.prefix), 0, None,
                       r"ran blocked +seen 1 time, last 20\d\d-.* by \S+")
        self.assertRun(self.site.ew("status"), 0,
                       None, r"ran blocked +1 time in 1 environment\n  last +20\d\d-.*\n  in +/")
        self.assertEqual(self.site.ew("status", "--json").json()["ran_after_block"],
                         {"times": 1, "environments": 1, "last": told["last"],
                          "prefix": str(self.prefix)})
        early.kill()
        self.site.agent.stop()
        self.site.start_agent()
        again = self.ran()
        self.assertEqual({**again, "last": told["last"]}, told, "kept over a restart")

    def test_it_is_looked_for_between_sweeps(self):
        self.site.agent_config.write_text("sweep_s = 86400\nblocked_look_s = 5\nsettle_ms = 50\n")
        self.begin()
        early = self.run_in_it()
        self.block()
        self.run_in_it()
        told = harness.wait_for("the sight of it", self.ran)
        self.assertEqual(told["times"], 1)
        early.kill()
        # By a reader that begins anew, and at its new place.
        self.block("ok")
        self.site.agent.stop()
        self.site.start_agent()
        self.prefix = self.prefix.rename(self.prefix.with_name("moved"))
        harness.wait_for("the new place", lambda: self.site.ew(
            "show", self.prefix, "--json").code == 0)
        self.block()
        self.run_in_it()
        again = harness.wait_for("another sight", lambda: self.ran()["last"] > told["last"]
                                 and self.ran())
        self.assertEqual(again["times"], 1, "in the same hour")

    def test_a_shell_that_is_in_it_counts(self):
        self.begin()
        self.block()
        self.assertRun(self.site.ew("check", "--hook", "--active", "--prefix", self.prefix,
                                    "--timeout-ms", "5000"), 4, "is active all the same")
        self.assertEqual(self.ran()["times"], 1)
        self.assertRun(self.site.ew("check", "--hook", "--prefix", self.prefix,
                                    "--timeout-ms", "5000"), 4, "not activated")
        self.assertEqual(self.ran()["times"], 1)

    def test_not_with_last_used_off(self):
        self.site.agent_config.write_text(CONFIG + "running = off\nlast_used = off\n")
        self.begin()
        self.block()
        self.site.ew("check", "--hook", "--active", "--prefix", self.prefix)
        self.run_in_it()
        self.assertIsNone(self.ran())


if __name__ == "__main__":
    harness.main()
