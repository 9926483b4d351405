"""Attacks on signed state with the real programs: an agent holds a block, and a server in other
hands (its database changed, its status key stolen, restored, its clock set) offers it something
else. Refused: the block stays, the server is told why, and so are people at the machine.
"""

import shutil
import sqlite3
import subprocess
import time

import harness

import conda_writer  # beside replay.py: harness says where

DAY_MS = 86400000
ANOTHER = "ab" * 16
NONE_GOOD = "0 good signatures, and 1 is needed"


class Attacks(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.prefix = site.envs / "a"
        conda_writer.Writer(site.home).create(self.prefix, ["libfoo-1.0-0"])
        site.start_everything()
        site.wait_server("the environment", lambda changes: len(changes) >= 1)
        self.put_status("block")
        harness.wait_for("the block", self.blocked)
        harness.wait_for("the report of it", lambda: self.told()[0] == self.version())

    # --- what holds

    def blocked(self):
        result = self.site.ew("check", "--prefix", self.prefix, "--timeout-ms", "5000")
        self.assertIn(result.code, (0, 4), repr(result))
        return result.code == 4

    def put_status(self, action):
        env = self.site.api("/environments")["environments"][0]
        body = {"status": action} if action == "ok" else {"status": action, "message": "no"}
        self.site.api(f"/environments/{env['id']}/status", body, "PUT")

    def database(self):
        return sqlite3.connect(self.site.server_state / "envwarden.db", timeout=30)

    def query(self, sql, *values):
        connection = self.database()
        try:
            with connection:
                return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def version(self):
        return self.query("SELECT status_version FROM machine")[0][0]

    def told(self, role="status"):
        """(version, reason) of the agent's last report on a role."""
        rows = self.query("SELECT version, reason FROM bundle_report WHERE role = ?", role)
        return rows[0] if rows else (0, "")

    def machine(self):
        return self.query("SELECT uuid FROM machine")[0][0].hex()

    # --- both at once: an agent alone would wait ever longer for its server

    def stop(self):
        self.site.agent.stop()
        self.site.server.stop()

    def start(self):
        self.site.start_server()
        self.site.start_agent()

    # --- forging

    def forge(self, role="status", content="status", machine=None, version=None, expires=None,
              keys=("status",)):
        now = int(time.time() * 1000)
        words = [harness.BIN / "sign_bundle", role, content, machine or self.machine(),
                 version or self.version() + 1, now, now + DAY_MS if expires is None else expires]
        words += [self.site.server_state / f"role-{key}.key" for key in keys]
        return subprocess.run([str(word) for word in words], capture_output=True, check=True,
                              env=self.site.env).stdout

    def plant(self, data, role="status", newest=None):
        """It becomes the newest of its role, as far as the server knows; what agents said is
        forgotten, so that an answer is one to this."""
        newest = newest or self.version() + 1
        self.query("DELETE FROM bundle_report")
        columns = [row[1] for row in self.query("PRAGMA table_info(bundle)")]
        self.query("DELETE FROM bundle WHERE role = ?", role)
        values = {"role": role, "version": newest, "data": data,
                  "machine": bytes.fromhex(self.machine()) if role == "status" else bytes(16),
                  "created_ms": int(time.time() * 1000)}
        names = [name for name in columns if name in values]
        self.query(f"INSERT INTO bundle ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                   *(values[name] for name in names))
        if role == "status":
            self.query("UPDATE machine SET status_version = ?", newest)

    def keep(self):
        kept = self.site.dir / "kept"
        kept.mkdir()
        for file in self.site.server_state.glob("envwarden.db*"):
            shutil.copy2(file, kept)
        return kept

    def restore(self, kept):
        """The database as it was; but which agent is the one that was last here is known still."""
        tokens = self.query("SELECT continuity, continuity_previous FROM machine")[0]
        for file in self.site.server_state.glob("envwarden.db*"):
            file.unlink()
        for file in kept.iterdir():
            shutil.copy2(file, self.site.server_state)
        self.query("UPDATE machine SET continuity = ?, continuity_previous = ?", *tokens)

    def refused(self, attack, why):
        harness.wait_for(f"the refusal of {attack}", lambda: why in self.told("timestamp")[1])
        self.assertTrue(self.blocked(), attack)
        lines = [line for line in self.site.status()["degraded"]
                 if line["what"] == "signed state refused"]
        self.assertEqual(len(lines), 1, attack)
        self.assertIn(why, lines[0]["why"], attack)
        self.assertIn(why, self.site.ew("doctor").out, attack)

    # --- attacks

    def test_forged_status(self):
        site = self.site
        self.stop()
        held = self.version()
        attacks = {
            "anothers_status": (lambda: self.forge(machine=ANOTHER),
                                "status: is another machine's"),
            "policy_signed_as_status": (lambda: self.forge(content="policy"), "status: is none"),
            "whole_policy_bundle_given_as_status": (
                lambda: self.forge(role="policy", content="policy", keys=["policy"]),
                "status: signed for another role"),
            "status_by_the_policy_key": (lambda: self.forge(keys=["policy"]),
                                         f"status: {NONE_GOOD}"),
            "status_unsigned": (lambda: self.forge(keys=[]), f"status: {NONE_GOOD}"),
            "expired_status": (lambda: self.forge(expires=1), "is expired"),
            "old_status_under_a_new_number": (lambda: self.forge(version=held),
                                              f"status: version {held}, held is"),
            "later_status_under_a_number_before": (
                lambda: self.forge(version=self.version() + 2),
                "status: has not the version the timestamp names"),
            "truncated_status": (lambda: self.forge()[:-1], "malformed message"),
        }
        for attack, (forge, why) in attacks.items():
            with self.subTest(attack):
                self.plant(forge())
                self.start()
                try:
                    self.refused(attack, why)
                finally:
                    self.stop()
        # It goes on with a genuine one.
        self.start()
        site.log_in()
        self.put_status("ok")
        harness.wait_for("the end of the block", lambda: not self.blocked())
        self.assertEqual([], [line for line in site.status()["degraded"]
                              if line["what"] == "signed state refused"])

    def apply(self, message):
        """A policy that blocks what the environment has; its version and what was signed of it."""
        path = self.site.dir / "policy.yaml"
        path.write_text("policy: 1\nrules:\n  - {id: foo, when: {package: libfoo}, action: block, "
                        f"message: {message}}}\n")
        self.site.must("envwarden-admin", "policy", "apply", path, "--yes")
        version, data = self.query("SELECT version, data FROM bundle WHERE role = 'policy'")[0]
        harness.wait_for("the policy", lambda: self.site.status()["policy_version"] == version)
        return version, data

    def test_forged_policy(self):
        """It would lift the block, which only the policy holds here."""
        site = self.site
        site.log_in_command()
        first, old = self.apply("first")
        held, genuine = self.apply("second")
        self.put_status("ok")
        harness.wait_for("the policy's block alone", lambda: self.told()[0] == self.version() and
                         self.blocked())
        self.stop()

        def forge(version, **options):
            return self.forge(**{"role": "policy", "content": "policy", "keys": ["policy"],
                                 "version": version, **options})

        higher = held + 1
        attacks = {
            "policy_by_the_status_key": (higher, lambda: forge(higher, keys=["status"]),
                                         f"policy: {NONE_GOOD}"),
            "policy_by_every_key_but_its_own": (
                higher, lambda: forge(higher, keys=["status", "timestamp", "root"]),
                f"policy: {NONE_GOOD}"),
            "policy_unsigned": (higher, lambda: forge(higher, keys=[]),
                                f"policy: {NONE_GOOD}"),
            "status_signed_as_policy": (higher, lambda: forge(higher, content="status"),
                                        "policy: is none"),
            "whole_status_given_as_policy": (
                higher, lambda: self.forge(version=higher), "policy: signed for another role"),
            "rollback": (first, lambda: old,
                         f"policy: version {first} is older than {held}"),
            "old_policy_under_a_new_number": (higher, lambda: old,
                                              f"policy: version {first}, held is"),
            "other_policy_under_the_number_held": (held, lambda: forge(held),
                                                   f"policy: version {held} is held with other"),
            "later_policy_under_a_number_before": (
                higher, lambda: forge(higher + 1),
                "policy: has not the version the timestamp names"),
            "expired_policy": (higher, lambda: forge(higher, expires=1), "is expired"),
            "truncated_policy": (higher, lambda: forge(higher)[:-1], ": "),
            "garbage": (higher, lambda: bytes(1000), ": "),
        }
        for attack, (version, make, why) in attacks.items():
            with self.subTest(attack):
                self.plant(make(), "policy", version)
                self.start()
                try:
                    self.refused(attack, why)
                    self.assertEqual(site.status()["policy_version"], held)
                finally:
                    self.stop()
        with self.subTest("policy_withheld"):
            self.query("DELETE FROM bundle_report")
            self.query("DELETE FROM bundle WHERE role = 'policy'")
            self.start()
            try:
                self.refused("policy_withheld", f"policy: version 0 is older than {held}")
            finally:
                self.stop()
        self.plant(genuine, "policy", held)
        self.start()
        harness.wait_for("peace", lambda: not [line for line in site.status()["degraded"]
                                               if line["what"] == "signed state refused"])
        self.assertTrue(self.blocked())

    def test_mixed_policy(self):
        """The bytes of one policy under the hash of another: the timestamp names what it names."""
        site = self.site
        site.log_in_command()
        self.apply("first")
        held, _ = self.apply("second")
        self.stop()
        self.plant(self.forge(role="policy", content="policy", keys=["policy"], version=held + 1),
                   "policy", held + 1)
        self.query("UPDATE bundle SET hash = ? WHERE role = 'policy'", bytes(32))
        self.start()
        self.refused("mixed_policy", "policy: is not the one the timestamp names")

    def test_restored_server(self):
        """A backup from before the block: what agents hold is newer than all it has."""
        site = self.site
        self.put_status("ok")
        harness.wait_for("the end of the block", lambda: not self.blocked())
        self.stop()
        kept = self.keep()
        self.start()
        site.log_in()
        for _ in range(3):
            self.put_status("ok")
            self.put_status("block")
        harness.wait_for("the block", self.blocked)
        harness.wait_for("the report of it", lambda: self.told()[0] == self.version())
        held = self.version()
        self.stop()
        self.restore(kept)
        self.assertLess(self.version(), held)
        self.start()
        site.log_in()
        harness.wait_for("a version above", lambda: self.told()[0] > held)
        # What the organisation says now holds: the restored server knows of no block.
        harness.wait_for("the end of the block", lambda: not self.blocked())
        self.put_status("block")
        harness.wait_for("the block", self.blocked)

    def test_freeze(self):
        """The server's clock stands two days back: all it can sign has expired."""
        site = self.site
        self.stop()
        site.server.env["LD_PRELOAD"] = str(harness.BIN / "clock_ahead.so")
        site.server.env["AHEAD_S"] = str(-2 * 86400)
        site.server.env["ASAN_OPTIONS"] = ":".join(filter(None, (
            site.env.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        self.start()
        self.refused("freeze", "timestamp: version")
        self.assertIn("is expired", self.told("timestamp")[1])


if __name__ == "__main__":
    harness.main()
