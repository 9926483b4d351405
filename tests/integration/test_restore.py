"""A server restored from a backup: `envwarden-server restore` and what agents make of it."""

import shutil
import sqlite3

import harness

import conda_writer  # beside replay.py: harness says where

POLICY = """policy: 1
defaults: {{contact: "security@example.org"}}
rules:
  - id: no-foo
    when: {{package: "libfoo"}}
    action: {action}
    message: "Not this one."
"""


class Restore(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.writer = conda_writer.Writer(site.home)
        self.prefix = site.envs / "a"
        self.writer.create(self.prefix, ["libfoo-1.0-0"])
        site.start_everything()
        site.log_in_command()
        site.wait_server("the environment", lambda changes: len(changes) >= 1)

    def query(self, sql, *values):
        connection = sqlite3.connect(self.site.server_state / "envwarden.db", timeout=30)
        try:
            with connection:
                return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def apply(self, action):
        path = self.site.dir / "policy.yaml"
        path.write_text(POLICY.format(action=action))
        return self.site.run("envwarden-admin", "policy", "apply", path, "--yes", "--no-wait")

    def status(self, action):
        env = next(e for e in self.site.api("/environments")["environments"]
                   if e["prefix"] == str(self.prefix))
        self.site.api(f"/environments/{env['id']}/status",
                      {"status": action} if action == "ok" else
                      {"status": action, "message": "no"}, "PUT")

    def code(self):
        result = self.site.ew("check", "--prefix", self.prefix, "--timeout-ms", "5000")
        self.assertIn(result.code, (0, 4), repr(result))
        return result.code

    def policy(self):
        return (self.site.status() or {}).get("policy_version")

    def backup(self):
        """The database as it was, the server being stopped."""
        self.site.server.stop()
        kept = self.site.dir / "backup.db"
        shutil.copy2(self.site.server_state / "envwarden.db", kept)
        self.site.start_server()
        self.site.log_in()
        self.site.wait_connected()
        return kept

    def restore(self, kept, *words):
        self.site.server.stop()
        told = self.site.must("envwarden-server", "restore", "--state-dir", self.site.server_state,
                              "--from", kept, *words).out
        self.site.start_server()
        self.site.log_in()
        self.site.log_in_command()
        return told

    def in_step(self):
        """The journal is whole at the server (but for what is from before enrolment)."""
        self.site.record("--all")
        def told(changes):
            return {(change["environment"]["prefix"], change["kind"]) for change in changes}

        here = told(self.site.agent_changes())
        self.site.wait_server("every change", lambda changes: told(changes) == here)

    def test_restore(self):
        site = self.site
        self.assertRun(self.apply("warn"), 0)
        harness.wait_for("the policy", lambda: self.policy() == 1)
        kept = self.backup()
        old_code = site.dir / "old-code"
        old_code.write_text(site.join_code("--uses", "5", "--expires", "1d") + "\n")
        # What the backup does not know: changes, statuses, policies.
        self.writer.create(site.envs / "b", ["libfoo-1.0-0"])
        self.writer.create(site.envs / "c", ["libfoo-1.0-0"])
        site.wait_server("the new ones", lambda changes: len(changes) >= 3)
        for action in ("block", "ok", "block"):
            self.status(action)
        self.apply("warn")
        self.apply("block")
        harness.wait_for("the third policy", lambda: self.policy() == 3)
        harness.wait_for("the block", lambda: self.code() == 4)
        held = site.status()
        token = site.token
        told = self.restore(kept)
        self.assertIn("epoch is 2", told)
        self.assertRegex(told, r"not known here: .* from 20\S+ to 20")
        self.assertIn("1 machines are taken back", told)
        # The agent is taken back, its journal told again from where the server stands.
        site.wait_connected()
        site.wait_server("what was lost", lambda changes: len(changes) >= 3)
        self.in_step()
        self.assertEqual(held["journal"]["epoch"], site.status()["journal"]["epoch"])
        # What the organisation says now holds: the policy before, under a version above; no status.
        harness.wait_for("a policy above", lambda: self.policy() == 4)
        harness.wait_for("a status above",
                         lambda: site.status()["status_version"] > held["status_version"])
        harness.wait_for("the end of the block", lambda: self.code() == 0)
        self.assertEqual([], [line for line in site.status()["degraded"]
                              if line["what"] == "signed state refused"])
        # It works on: statuses, policies, changes.
        self.status("block")
        harness.wait_for("the block", lambda: self.code() == 4)
        self.status("ok")
        harness.wait_for("the end of the block", lambda: self.code() == 0)
        self.assertRun(self.apply("block"), 0)
        harness.wait_for("the next policy", lambda: self.policy() == 5)
        harness.wait_for("the block", lambda: self.code() == 4)
        self.writer.create(site.envs / "d", ["libfoo-1.0-0"])
        self.in_step()
        # Once only: who comes with an old token now is a clone.
        self.assertEqual(self.query("SELECT restored, clone_suspected FROM machine"), [(0, 0)])
        # Tokens and codes count no more; the log says what happened.
        site.token = token
        with self.assertRaisesRegex(harness.Failed, "401"):
            site.api("/organisation")
        site.log_in()
        whats = [entry["what"] for entry in site.api("/audit?limit=100")["entries"]]
        self.assertIn("server.restored", whats)
        self.assertIn("policy.resigned", whats)

    def test_codes_are_void(self):
        site = self.site
        code = site.dir / "join"
        code.write_text(site.join_code("--uses", "5", "--expires", "1d") + "\n")
        self.assertRegex(self.restore(self.backup()), r"voided: [12] join codes")
        other = self.new_site()
        other.start_agent()
        self.assertRun(other.ew("enroll", "--join-file", code, "--yes"), 7)

    def test_policy_key_elsewhere(self):
        """Agents hold policy 2; the backup has 1, and no key to sign it again."""
        site = self.site
        self.apply("warn")
        harness.wait_for("the policy", lambda: self.policy() == 1)
        kept = self.backup()
        self.apply("block")
        harness.wait_for("the block", lambda: self.code() == 4)
        site.server.stop()
        site.must("envwarden-server", "root", "move-key", "--state-dir", site.server_state,
                  "--role", "policy", "--out", site.dir / "policy.key")
        site.start_server()
        self.assertIn("the policy key is not here", self.restore(kept))
        site.wait_connected()
        entry = harness.wait_for("word of it", lambda: next(
            (e for e in site.api("/audit?limit=100")["entries"]
             if e["what"] == "policy.resign_needed"), None))
        self.assertEqual(entry["target"], "policy:3")
        self.assertEqual(self.code(), 4)  # the last good set stays
        self.assertEqual(self.policy(), 2)

    def test_whole_folder(self):
        """The folder itself is a backup: nothing is exchanged."""
        site = self.site
        site.server.stop()
        kept = site.dir / "kept"
        shutil.copytree(site.server_state, kept)
        site.start_server()
        site.log_in()
        self.writer.create(site.envs / "b", ["libfoo-1.0-0"])
        site.wait_server("the new one", lambda changes: len(changes) >= 2)
        self.status("block")
        harness.wait_for("the block", lambda: self.code() == 4)
        site.server.stop()
        shutil.rmtree(site.server_state)
        shutil.copytree(kept, site.server_state)
        site.must("envwarden-server", "restore", "--state-dir", site.server_state)
        site.start_server()
        site.log_in()
        site.wait_connected()
        self.in_step()
        harness.wait_for("the end of the block", lambda: self.code() == 0)

    def test_refusals(self):
        site = self.site
        words = ("envwarden-server", "restore", "--state-dir", site.server_state)
        self.assertRun(site.run(*words), 1, err="stop the server first")
        site.server.stop()
        self.assertRun(site.run(*words, "--from", site.dir / "absent"), 1, err="copy .*absent")
        garbage = site.dir / "garbage"
        garbage.write_bytes(b"no database" * 1000)
        self.assertRun(site.run(*words, "--from", garbage), 1)
        self.assertEqual([], [file.name for file in site.server_state.iterdir()
                              if "restoring" in file.name or "replaced" in file.name])
        site.start_server()
        site.log_in()
        site.wait_connected()


if __name__ == "__main__":
    harness.main()
