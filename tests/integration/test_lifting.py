"""Blocks that end by themselves: the cause is gone, or time has done it."""

import json
import time

import harness

from conda_writer import Writer, record_bytes  # harness says where

SOON_S = 15
OLD = "openssl-1.1.1w-h_0"
NEW = "openssl-3.0.14-h_0"
DAY_MS = 86400000
POLICY = """policy: 1
rules:
  - {id: old-openssl, when: {package: "openssl <3"}, action: block}
  - {id: too-fresh, when: {package_age_below: 14d}, action: block, message: "Let it ripen."}
"""


class Lifting(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.start_everything()
        self.site.log_in_command()
        self.conda = Writer(self.site.home)

    def make(self, name, dist, **record):
        """An environment of one package, whose record says more or something else."""
        prefix = self.site.envs / name
        self.conda.create(prefix, [dist])
        file = prefix / "conda-meta" / f"{dist}.json"
        file.write_text(json.dumps({**json.loads(record_bytes(dist)), **record}))
        harness.wait_for(f"a reading of {name}", lambda: self.site.ew(
            "record", "--prefix", prefix).code == 0, SOON_S)
        harness.wait_for(f"{name} at the server", lambda: self.shown(prefix), SOON_S)
        return prefix

    def shown(self, prefix):
        found = self.site.admin("--json", "env", "list", "--query", prefix)
        return found.json()["environments"] if found.code == 0 else None

    def govern(self):
        file = self.site.dir / "policy.yaml"
        file.write_text(POLICY)
        self.assertRun(self.site.admin("policy", "apply", file, "--yes"), 0)

    def check(self, prefix):
        return self.site.ew("check", "--json", "--prefix", prefix, "--timeout-ms", "5000")

    def wait_check(self, prefix, code, seconds=SOON_S):
        def answer():
            result = self.check(prefix)
            return json.loads(result.out) if result.code == code else None
        return harness.wait_for(f"check of {prefix.name} to exit with {code}", answer, seconds)

    def test_conda_updates_what_is_blocked(self):
        prefix = self.make("old", OLD)
        self.govern()
        told = self.wait_check(prefix, 4)
        self.assertEqual([r["id"] for r in told["reasons"]], ["old-openssl"])
        self.conda.change(prefix, [OLD], [NEW], f"update -p {prefix} openssl")
        self.wait_check(prefix, 0)

    def test_an_administrators_block_until_it_is_fixed(self):
        prefix = self.make("leaky", OLD)
        self.assertRun(self.site.admin("env", "set-status", prefix, "block", "--until", "fixed",
                                       "--package", "openssl <3"), 0)
        self.wait_check(prefix, 4)
        self.conda.change(prefix, [OLD], [NEW], f"update -p {prefix} openssl")
        self.wait_check(prefix, 0)
        # Taking the cause back in is no way around it.
        self.conda.change(prefix, [NEW], [OLD], f"install -p {prefix} openssl=1.1.1")
        self.wait_check(prefix, 4)

    def test_what_was_built_lately_ripens(self):
        now_ms = int(time.time() * 1000)
        young = self.make("young", NEW, timestamp=now_ms - DAY_MS)
        untold = self.make("untold", NEW, timestamp="yesterday")
        forged = self.make("forged", NEW, timestamp=1e30)
        # Young for long enough to be seen, on a busy machine.
        ripe_ms = int(time.time() * 1000) - 14 * DAY_MS + 25000
        ripening = self.make("ripening", NEW, timestamp=ripe_ms)
        self.govern()
        told = self.wait_check(ripening, 4)
        self.assertEqual([r["id"] for r in told["reasons"]], ["too-fresh"])
        self.assertRegex(told["valid_until"], r"^20\d\d-")
        self.wait_check(young, 4)
        self.wait_check(untold, 0)
        self.wait_check(forged, 0)
        # The server, which was told when it was built, says the same.
        plan = self.site.admin("policy", "plan", self.site.dir / "policy.yaml", "--json").json()
        self.assertIn(plan["blocked"]["before"], (1, 2))
        self.wait_check(ripening, 0, 60)
        self.wait_check(young, 4)
        packages = self.site.ew("show", "--json", "--prefix", young).json()["packages"]
        self.assertEqual(packages[0]["built"][:4], time.strftime("%Y", time.gmtime(now_ms / 1000)))


if __name__ == "__main__":
    harness.main()
