"""A policy whose keys are not on the server: a draft goes out, is signed, and comes in."""

import re

import harness

import conda_writer  # beside replay.py: harness says where

POLICY = """policy: 1
rules:
  - {{id: no-foo, when: {{package: "libfoo"}}, action: {action}, message: "Not this one."}}
"""


class Offline(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.prefix = site.envs / "a"
        conda_writer.Writer(site.home).create(self.prefix, ["libfoo-1.0-0"])
        site.start_everything()
        site.log_in_command()
        site.wait_server("the environment", lambda changes: len(changes) >= 1)
        self.safe = site.dir / "safe"
        self.safe.mkdir(mode=0o700)

    def key_id(self, role):
        shown = self.root("show", "--state-dir", self.site.server_state).out
        return re.search(rf"^{role}: 1 of 1\n  ([0-9a-f]{{64}})", shown, re.M)[1]

    def root(self, *words):
        return self.site.must("envwarden-server", "root", *words)

    def policy_file(self, action):
        path = self.site.dir / f"{action}.yaml"
        path.write_text(POLICY.format(action=action))
        return path

    def export(self, action, name="policy.draft"):
        draft = self.site.dir / name
        self.site.must("envwarden-admin", "policy", "export-body", self.policy_file(action), "-o",
                       draft, "--note", f"to {action}")
        return draft

    def sign(self, draft, *keys):
        out = draft.with_name(f"{draft.name}.signed")
        words = [word for key in keys for word in ("--key", key)]
        told = self.root("sign", "--in", draft, "--out", out, *words).out
        self.assertRegex(told, r"^policy \d+: 1 rules, 0 exceptions\nsigned by ")
        return out

    def import_signed(self, path):
        return self.site.run("envwarden-admin", "policy", "import-signed", path)

    def holds(self, code):
        harness.wait_for(f"exit code {code}", lambda: self.site.ew(
            "check", "--prefix", self.prefix, "--timeout-ms", "5000").code == code)

    def restart(self):
        self.site.start_server()
        self.site.log_in()
        self.site.log_in_command()
        self.site.wait_connected()

    def test_key_elsewhere(self):
        site = self.site
        site.must("envwarden-admin", "policy", "apply", self.policy_file("warn"), "--yes")
        site.server.stop()
        key = self.safe / "policy.key"
        self.root("move-key", "--state-dir", site.server_state, "--role", "policy", "--out", key)
        self.assertFalse((site.server_state / "role-policy.key").exists())
        self.restart()
        refused = site.run("envwarden-admin", "policy", "apply", self.policy_file("block"), "--yes")
        for words in ("not on this server", "nothing was applied", "policy export-body",
                      "root sign --in policy.draft", "policy import-signed"):
            self.assertRun(refused, 1, err=words)
        draft = self.export("block")
        self.assertRun(self.import_signed(draft), 1, err="0 good signatures, and 1 is needed. Sign it")
        wrong = self.sign(draft, site.server_state / "role-status.key")
        self.assertRun(self.import_signed(wrong), 1, err="0 good signatures, and 1 is needed. Sign it")
        wrong.unlink()
        signed = self.sign(draft, key)
        cut = site.dir / "cut"
        cut.write_bytes(signed.read_bytes()[:-9])
        self.assertRun(self.import_signed(cut), 1)
        self.assertRun(self.import_signed(signed), 0,
                       out="policy 2 is applied; active on 1 of 1 machine")
        self.holds(4)
        shown = site.must("envwarden-admin", "policy", "show").out
        self.assertEqual(shown, POLICY.format(action="block"))
        self.assertIn("to block", site.must("envwarden-admin", "policy", "log").out)
        # Again, or another of the same version: not any more.
        self.assertRun(self.import_signed(signed), 1, err="export it again")
        # Two drafts: the first to come back wins.
        one, two = self.export("warn", "one"), self.export("block", "two")
        self.assertRun(self.import_signed(self.sign(one, key)), 0, out="policy 3 is applied")
        self.assertRun(self.import_signed(self.sign(two, key)), 1, err="export it again")
        self.holds(0)

    def test_two_signatures(self):
        """Root wants two of two keys; one of them is the server's."""
        site = self.site
        site.server.stop()
        other = self.safe / "other.key"
        self.root("new-key", "--out", other)
        draft = site.dir / "root.draft"
        self.root("draft", "--state-dir", site.server_state, "--out", draft, "--add-key",
                  f"policy={other}.pub", "--threshold", "policy=2")
        signed = site.dir / "root.signed"
        self.root("sign", "--in", draft, "--key", site.server_state / "role-root.key", "--out",
                  signed)
        self.root("publish", "--state-dir", site.server_state, "--in", signed)
        self.restart()
        refused = site.run("envwarden-admin", "policy", "apply", self.policy_file("block"), "--yes")
        self.assertRun(refused, 1, err="one is not enough")
        once = self.sign(self.export("block"), other)
        self.assertRun(self.import_signed(once), 1, err="1 good signature, and 2 are needed")
        twice = self.sign(once, site.server_state / "role-policy.key")
        self.assertRun(self.import_signed(twice), 0, out="policy 1 is applied")
        self.holds(4)


if __name__ == "__main__":
    harness.main()
