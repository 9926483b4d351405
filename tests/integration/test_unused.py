"""Rules about what nobody uses: what a plan says of the fleet is what its machines decide then."""

import time

import harness

import conda_writer  # beside replay.py: harness says where

DAY_S = 86400
RULES = """policy: 1
rules:
  - {id: forgotten, when: {unused_for: 30d}, action: block, message: "Nobody uses it."}
  - {id: dusty, when: {unused_for: 3d}, action: warn}
"""


class Unused(harness.Case):
    def create(self, name, age_days):
        """An environment made so long ago, as conda tells; None: it does not tell."""
        prefix = self.site.envs / name
        conda_writer.Writer(self.site.home).create(prefix, ["libfoo-1.0-0"])
        made = prefix / "conda-meta" / "created_at"
        if age_days is None:
            made.unlink(missing_ok=True)
        else:
            made.write_text(f"{time.time() - age_days * DAY_S:.3f}")
        return str(prefix)

    def decisions(self, prefixes):
        return {prefix: self.site.ew("check", "--json", "--prefix", prefix, "--timeout-ms",
                                     "5000").out for prefix in prefixes}

    def test_a_plan_is_what_agents_decide(self):
        site = self.site
        wanted = {self.create("old", 40): "block", self.create("dusty", 5): "warn",
                  self.create("young", 1): "allow", self.create("unknown", None): "allow",
                  self.create("old-used", 40): "allow", self.create("dusty-used", 5): "allow"}
        site.start_agent()  # before there is a server: uses are told with the first changes
        for prefix in wanted:
            site.record(prefix)
            if prefix.endswith("-used"):
                self.assertRun(site.ew("check", "--hook", "--prefix", prefix,
                                       "--timeout-ms", "5000"), 0)
        site.start_server()
        site.log_in()
        site.log_in_command()
        site.logging("on")
        site.enrol()
        used = lambda: {env["prefix"] for env in site.api("/environments")["environments"]
                        if "last_used" in env}
        harness.wait_for("uses at the server", lambda: used() == {
            prefix for prefix in wanted if prefix.endswith("-used")})
        file = site.dir / "rules.yaml"
        file.write_text(RULES)
        plan = site.admin("policy", "plan", file, "--json").json()
        planned = dict.fromkeys(wanted, "allow")
        planned.update((env["prefix"], env["to"]) for env in plan["changed"])
        self.assertEqual(planned, wanted)
        self.assertRun(site.admin("policy", "apply", file, "--yes"), 0)
        decided = lambda: {prefix: harness.json.loads(text)["decision"]
                           for prefix, text in self.decisions(wanted).items()}
        harness.wait_for("the same on the machine", lambda: decided() == wanted)


if __name__ == "__main__":
    harness.main()
