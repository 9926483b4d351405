"""When an environment was last used: by whom it is told, how long it is kept, and when not at all."""

import harness

import conda_writer  # beside replay.py: harness says where


class LastUsed(harness.Case):
    def last_used(self, site):
        return next(env.get("last_used") for env in site.ew("list", "--json").json()["environments"]
                    if env["prefix"].endswith("/used"))

    def test_only_the_gate_counts_and_a_restart_keeps_it(self):
        site = self.site
        prefix = site.envs / "used"
        conda_writer.Writer(site.home).create(prefix, ["libfoo-1.0-0"])
        site.start_agent()
        site.record(prefix)
        site.ew("check", "--timeout-ms", "60000", prefix)
        self.assertIsNone(self.last_used(site))
        site.ew("check", "--hook", "--timeout-ms", "60000", "--tool", "conda", prefix)
        used = self.last_used(site)
        self.assertIsNotNone(used)
        site.agent.stop()
        site.start_agent()
        self.assertEqual(used, self.last_used(site))

        # Switched off, it is forgotten for good.
        site.agent.stop()
        site.agent_config.write_text("running = off\nlast_used = off\n")
        site.start_agent()
        site.ew("check", "--hook", "--timeout-ms", "60000", prefix)
        self.assertIsNone(self.last_used(site))
        site.agent.stop()
        site.configure()
        site.start_agent()
        self.assertIsNone(self.last_used(site))

    def test_the_server_is_told_once_a_day(self):
        site = self.site
        prefix, idle = site.envs / "used", site.envs / "idle"
        writer = conda_writer.Writer(site.home)
        writer.create(prefix, ["libfoo-1.0-0"])
        writer.create(idle, ["libfoo-1.0-0"])
        # Before there is a server: what else runs on this machine may be told first otherwise.
        site.start_agent()
        site.record(prefix)
        site.record(idle)
        site.ew("check", "--hook", "--timeout-ms", "60000", "--tool", "conda", prefix)
        used = self.last_used(site)
        site.start_server()
        site.log_in()
        site.logging("on")
        site.enrol()
        there = lambda: {env["prefix"]: env.get("last_used")
                         for env in site.api("/environments")["environments"]}
        harness.wait_for("the use", lambda: there().get(str(prefix)))
        self.assertEqual(used[:16], there()[str(prefix)][:16])
        self.assertIsNone(there().get(str(idle)))
        site.log_in_command()
        listed = site.admin("env", "list", "--json").json()["environments"]
        listed = {env["prefix"]: env for env in listed}
        self.assertEqual(there()[str(prefix)], listed[str(prefix)]["last_used"])
        self.assertNotIn("last_used", listed[str(idle)])

        # Not again on that day, also after a restart.
        site.ew("check", "--hook", "--timeout-ms", "60000", "--tool", "conda", idle)
        site.agent.stop()
        site.start_agent()
        site.wait_connected()
        writer.create(site.envs / "third", ["libfoo-1.0-0"])
        harness.wait_for("the change", lambda: str(site.envs / "third") in there())
        self.assertIsNone(there()[str(idle)])
        told = [m for m in site.ew("sent", "--json").json()["messages"]
                if "uses" in m["content"].get("changes", {})]
        self.assertEqual(1, len(told))

    def test_switched_off_nothing_is_told(self):
        site = self.site
        site.agent_config.write_text("last_used = off\n")
        prefix = site.envs / "used"
        writer = conda_writer.Writer(site.home)
        writer.create(prefix, ["libfoo-1.0-0"])
        site.start_everything()
        known = lambda: {env["prefix"] for env in site.api("/environments")["environments"]}
        harness.wait_for("it", lambda: str(prefix) in known())
        site.ew("check", "--hook", "--timeout-ms", "60000", "--tool", "conda", prefix)
        writer.create(site.envs / "another", ["libfoo-1.0-0"])
        harness.wait_for("another", lambda: str(site.envs / "another") in known())
        self.assertNotIn('"uses"', site.ew("sent", "--json").out)
        self.assertFalse([env for env in site.api("/environments")["environments"]
                          if "last_used" in env])


if __name__ == "__main__":
    harness.main()
