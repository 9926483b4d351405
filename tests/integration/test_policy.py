"""Policy as code with the real programs: checked, planned, applied, lifted, rolled back."""

import time

import harness

SAMPLE = harness.ROOT / "packaging" / "sample" / "make-sample.sh"
SOON_S = 10  # "within a second or two", on a busy machine
FIRST = "ca-certificates-2024.2.2-hf0a4a13_0"
POLICY = """policy: 1
defaults: {contact: "it@example.org"}
rules:
  - id: old-certificates
    when: {package: "ca-certificates <2025"}
    action: block
    mode: MODE
    message: "Too old."
"""


class Policy(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.start_everything()
        self.site.log_in_command()
        self.site.must(SAMPLE, "create", "old", FIRST)
        self.prefix = str(self.site.home / ".conda" / "envs" / "old")
        harness.wait_for("the environment at the server", lambda: self.at_server(), SOON_S)

    def at_server(self):
        found = self.site.admin("--json", "env", "list", "--query", self.prefix)
        return found.json()["environments"] if found.code == 0 else None

    def file(self, mode):
        path = self.site.dir / f"{mode}.yaml"
        path.write_text(POLICY.replace("MODE", mode))
        return path

    def apply(self, mode, *words):
        """Applies it and waits until the agent acts on it."""
        since = time.monotonic()
        result = self.site.admin("policy", "apply", self.file(mode), "--yes", *words)
        self.assertRun(result, 0, out="is applied")
        harness.wait_for("the policy on the machine", lambda: self.site.admin(
            "--json", "policy", "show").json()["active"] == 1, SOON_S)
        print(f"{mode}: active after {time.monotonic() - since:.1f} s", flush=True)

    def wait_check(self, code):
        def answer():
            result = self.site.ew("check", "--prefix", self.prefix, "--timeout-ms", "5000")
            return result if result.code == code else None
        return harness.wait_for(f"check to exit with {code}", answer, SOON_S)

    def test_from_file_to_refusal(self):
        site = self.site
        bad = site.dir / "bad.yaml"
        bad.write_text("policy: 1\nrules:\n  - {id: x, wen: {package: a}}\n")
        self.assertRun(site.admin("policy", "check", bad), 1, r"bad\.yaml:3:")
        self.assertRun(site.admin("policy", "apply", bad, "--yes"), 1)
        self.assertRun(site.admin("policy", "show"), 1, "no policy was applied yet")
        # What it would do, before it does.
        plan = site.admin("policy", "plan", self.file("enforce"), "--json").json()
        self.assertEqual((plan["changes"], plan["users"], plan["blocked"]),
                         (1, 1, {"before": 0, "after": 1}))
        self.assertEqual(plan["changed"][0]["prefix"], self.prefix)
        plan = site.admin("policy", "plan", self.file("monitor"), "--json").json()
        self.assertEqual((plan["changes"], plan["rules"][0]["monitored"]),
                         (0, {"before": 0, "after": 1}))
        self.apply("monitor", "--note", "a look first")
        self.assertRun(site.ew("check", "--prefix", self.prefix), 0)
        self.apply("enforce")
        self.assertRun(self.wait_check(4), 4, "Too old")
        # An exception, and its end.
        self.assertRun(site.admin("exception", "grant", self.prefix, "--reason", "a project",
                                  "--expires", "1d", "--rule", "old-certificates"), 0)
        self.wait_check(0)
        plan = site.admin("policy", "plan", self.file("enforce"), "--json").json()
        self.assertEqual((plan["changes"], plan["blocked"]["before"]), (0, 0))
        listed = site.admin("exception", "list", "--json").json()["exceptions"]
        self.assertRun(site.admin("exception", "revoke", listed[0]["id"]), 0)
        self.wait_check(4)
        # Back to the version that only looked.
        self.assertRun(site.admin("policy", "rollback", "1", "--yes"), 0, out="policy 3")
        self.wait_check(0)
        log = site.admin("policy", "log", "--json").json()["policies"]
        self.assertEqual([p["version"] for p in log], [3, 2, 1])
        self.assertEqual([p["note"] for p in log], ["rollback to 1", "", "a look first"])
        audit = [e["what"] for e in site.admin("audit", "--json").json()["entries"]]
        for what in ("policy.apply", "exception.grant", "exception.revoke"):
            self.assertIn(what, audit)

    def rules(self, name, text):
        path = self.site.dir / name
        path.write_text('policy: 1\ndefaults: {defer: 1d}\nrules:\n' + text)
        return path

    def test_plan_is_in_the_order_of_the_file(self):
        text = "".join(f"  - {{id: r{i}, when: {{package: ca-certificates}}, action: warn}}\n"
                       for i in (7, 3, 9, 1, 8, 2, 6, 4, 0, 5))
        planned = self.rules("many.yaml", text)
        plan = self.site.admin("policy", "plan", planned, "--json").json()
        self.assertEqual([rule["rule"] for rule in plan["rules"]],
                         ["r7", "r3", "r9", "r1", "r8", "r2", "r6", "r4", "r0", "r5"])
        self.assertRun(self.site.admin("policy", "apply", planned, "--yes"), 0)
        # What is no longer there comes behind.
        less = self.rules("less.yaml", text.replace("r9,", "new,"))
        plan = self.site.admin("policy", "plan", less, "--json").json()
        self.assertEqual([rule["rule"] for rule in plan["rules"]],
                         ["r7", "r3", "new", "r1", "r8", "r2", "r6", "r4", "r0", "r5", "r9"])

    def test_plan_reckons_with_graces(self):
        site = self.site
        one = "  - {id: old, when: {package: ca-certificates}, action: block}\n"
        two = one + "  - {id: more, when: {env_name: old}, action: block}\n"
        self.assertRun(site.admin("policy", "apply", self.rules("one.yaml", one), "--yes"), 0)
        self.wait_check(4)
        self.assertRun(site.ew("defer", "--prefix", self.prefix), 0)

        def plan(text):
            return site.admin("policy", "plan", self.rules("next.yaml", text), "--json").json()

        harness.wait_for("the server's knowing of it",
                         lambda: plan(one)["deferred"]["before"] == 1, SOON_S)
        same, more, none = plan(one), plan(two), plan("  []\n")
        self.assertEqual((same["changes"], same["deferred"]), (0, {"before": 1, "after": 1}))
        # Other reasons are another case: the grace is not for them.
        self.assertEqual((more["changes"], more["deferred"]), (1, {"before": 1, "after": 0}))
        self.assertEqual((more["blocked"], more["warned"]),
                         ({"before": 0, "after": 1}, {"before": 1, "after": 0}))
        self.assertEqual((none["changes"], none["deferred"]), (1, {"before": 1, "after": 0}))
        told = site.admin("policy", "plan", self.rules("next.yaml", two))
        self.assertRun(told, 0, out="put off by a grace: 1 -> 0")

    def test_plan_of_what_is_too_big(self):
        big = self.site.dir / "big.yaml"
        with big.open("w") as out:
            out.write("policy: 1\nrules:\n")
            for i in range(350):
                specs = ",".join(f'"*q{i:03}{k:03}*"' for k in range(1000))
                out.write(f"  - {{id: r{i}, when: {{package: [{specs}]}}, action: warn}}\n")
        planned = self.site.admin("policy", "plan", big)
        applied = self.site.admin("policy", "apply", big, "--yes")
        self.assertRun(planned, 1, "too big for agents: they have 192 MiB")
        self.assertEqual((applied.code, applied.err), (planned.code, planned.err))


if __name__ == "__main__":
    harness.main()
