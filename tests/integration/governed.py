"""A site with a policy that blocks one environment, for stories about what members do then."""

import harness

SAMPLE = harness.ROOT / "packaging" / "sample" / "make-sample.sh"
SOON_S = 20
FIRST = "ca-certificates-2024.2.2-hf0a4a13_0"
POLICY = """policy: 1
defaults: {contact: "it@example.org", defer: 1d%s}
rules:
  - id: old-certificates
    when: {package: "ca-certificates <2025"}
    action: %s
    message: "Too old."
"""


class Case(harness.Case):
    """Everything runs; `self.prefix` is the environment "old", which is blocked."""

    def setUp(self):
        super().setUp()
        self.site.start_everything()
        self.site.log_in_command()
        self.prefix = self.make("old")
        self.apply()
        self.wait_check(4)

    def make(self, name):
        self.site.must(SAMPLE, "create", name, FIRST)
        prefix = str(self.site.home / ".conda" / "envs" / name)
        harness.wait_for(f"{name} at the server", lambda: self.at_server(prefix), SOON_S)
        return prefix

    def at_server(self, prefix):
        found = self.site.admin("--json", "env", "list", "--query", prefix)
        return found.json()["environments"] if found.code == 0 else None

    def apply(self, action="block", defaults=""):
        """The policy, with other defaults behind its own."""
        file = self.site.dir / "policy.yaml"
        file.write_text(POLICY % (defaults, action))
        self.assertRun(self.site.admin("policy", "apply", file, "--yes"), 0)

    def check(self, *words, prefix=None):
        return self.site.ew("check", "--prefix", prefix or self.prefix, "--timeout-ms", "5000",
                            *words)

    def wait_check(self, code, prefix=None):
        return harness.wait_for(f"check to exit with {code}", lambda: self.check(
            prefix=prefix).code == code, SOON_S)
