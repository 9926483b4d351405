"""SIGHUP: the configuration is read again; one with an error changes nothing, and is told."""

import os
import signal

import harness

import conda_writer  # beside replay.py: harness says where

FOO = "libfoo-1.0-0"


class Reload(harness.Case):
    def prefixes(self, site):
        return {env["name"] for env in site.environments()}

    def test_reload(self):
        site = self.site
        elsewhere = site.dir / "srv"
        writer = conda_writer.Writer(site.home)
        writer.create(site.envs / "known", [FOO])
        conda_writer.Writer(site.dir / "nobody").create(elsewhere / "found", [FOO])
        site.start_agent()
        harness.wait_for("the known one", lambda: self.prefixes(site) == {"known"})

        site.agent_config.write_text(f"running = off\nroots = {elsewhere}\nlog_level = debug\n")
        os.kill(site.agent.pid, signal.SIGHUP)
        harness.wait_for("the one below the new root",
                         lambda: self.prefixes(site) == {"known", "found"})

        site.agent_config.write_text("rots = /x\n")
        os.kill(site.agent.pid, signal.SIGHUP)
        trouble = harness.wait_for("the error told", lambda: [
            d for d in site.status()["degraded"] if d["what"] == "configuration not taken over"])
        self.assertIn('line 1: unknown key "rots"; did you mean "roots"?', trouble[0]["why"])
        self.assertEqual(self.prefixes(site), {"known", "found"})

        site.agent_config.write_text(f"running = off\nroots = {elsewhere}\nlast_used = off\n")
        site.ew("check", "--hook", "--timeout-ms", "60000", site.envs / "known")
        os.kill(site.agent.pid, signal.SIGHUP)
        harness.wait_for("the error gone", lambda: not [
            d for d in site.status()["degraded"] if d["what"] == "configuration not taken over"])
        self.assertFalse([env for env in site.environments() if "last_used" in env])

    def test_exclude(self):
        """What is left alone is not read when somebody asks about it either, nor reported."""
        site = self.site
        writer = conda_writer.Writer(site.home)
        site.agent_config.write_text(f"running = off\nexclude = {site.envs}/k_*\n")
        site.start_agent()
        writer.create(site.envs / "k_secret", [FOO])
        writer.create(site.envs / "open", [FOO])
        harness.wait_for("the other one", lambda: self.prefixes(site) == {"open"})
        site.ew("check", "--hook", site.envs / "k_secret")
        self.assertRun(site.ew("record", site.envs / "k_secret"), 7, "leave this path alone")
        site.record("--all")
        self.assertEqual(self.prefixes(site), {"open"})
        self.assertEqual([c["environment"]["prefix"] for c in site.agent_changes()],
                         [str(site.envs / "open")])

        site.agent_config.write_text(f"running = off\nexclude = {site.envs}\n")
        os.kill(site.agent.pid, signal.SIGHUP)
        harness.wait_for("known, but excluded by now", lambda: "leave this path alone" in site.ew(
            "record", site.envs / "open").err)
        self.assertRun(site.ew("record", "--all"), 0, out="recorded 0")
        # It is shown as what it was, and says so; its history stays.
        self.assertRun(site.ew("list"), 0, out="ok, excluded")
        self.assertEqual([True], [env.get("excluded") for env in site.environments()])
        self.assertRun(site.ew("show", site.envs / "open"), 0, out="leave this path alone")
        self.assertEqual(["created"], [c["kind"] for c in site.agent_changes()])

    def at_server(self, site):
        return {env["name"]: (env["excluded"], env["degraded"])
                for env in site.api("/environments")["environments"]}

    def test_the_server_knows_what_is_not_seen(self):
        """Files that can't be read, exclusion, wished labels: told, kept over restarts, taken back."""
        site = self.site
        writer = conda_writer.Writer(site.home)
        for name in ("torn", "left", "well"):
            writer.create(site.envs / name, [FOO])
        site.configure("running = off\nlabels = finance, site:berlin\n")
        site.start_everything()
        machine, = site.api("/machines")["machines"]
        self.assertEqual((["finance", "site:berlin"], []),
                         (machine["labels_wished"], machine["labels"]))
        well = (False, [])
        harness.wait_for("all of them", lambda: self.at_server(site) == {
            "torn": well, "left": well, "well": well})
        bad = site.envs / "torn" / "conda-meta" / "bad-1-0.json"
        bad.write_text("{")
        harness.wait_for("the note", lambda: any(
            "conda-meta/bad-1-0.json" in text for text in self.at_server(site)["torn"][1]))
        self.assertRun(site.ew("list"), 0, out="ok, degraded")
        site.log_in_command()
        self.assertRun(site.admin("env", "show", "torn"), 0, out="conda-meta/bad-1-0.json")

        site.configure(f"running = off\nexclude = {site.envs}/left\n")
        os.kill(site.agent.pid, signal.SIGHUP)
        harness.wait_for("it left alone", lambda: self.at_server(site)["left"] == (True, []))
        # Nothing is told again without need, and what went away meanwhile is.
        site.agent.stop()
        bad.unlink()
        site.configure()
        site.start_agent()
        harness.wait_for("all well", lambda: self.at_server(site) == {
            "torn": well, "left": well, "well": well})
        self.assertEqual([], site.api("/machines")["machines"][0]["labels_wished"])


if __name__ == "__main__":
    harness.main()
