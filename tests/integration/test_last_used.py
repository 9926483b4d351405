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


if __name__ == "__main__":
    harness.main()
