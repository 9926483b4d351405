"""The root and policy keys leave the server, word for word as docs/security.md says, and root steps.
"""

import re
import shlex

import harness

import conda_writer  # beside replay.py: harness says where

GUIDE = harness.ROOT / "docs" / "security.md"
HEADING = "### Moving the root and policy keys off the server"


def guide_commands():
    text = GUIDE.read_text().split(HEADING)[1].split("\n## ")[0]
    code = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return [shlex.split(line) for line in code.replace("\\\n", " ").splitlines()]


class Roots(harness.Case):
    def key_id(self, role):
        """The id of the only key of a role, and where its private half is."""
        shown = self.site.must("envwarden-server", "root", "show", "--state-dir",
                               self.site.server_state).out
        return re.search(rf"^{role}: 1 of 1\n  ([0-9a-f]{{64}}) (\w+)$", shown, re.M).groups()

    def version(self):
        shown = self.site.must("envwarden-server", "root", "show", "--state-dir",
                               self.site.server_state).out
        return int(re.match(r"root (\d+) of Proving Ground, until \d{4}-", shown)[1])

    def root(self, *words):
        return self.site.must("envwarden-server", "root", *words)

    def blocked(self, prefix):
        result = self.site.ew("check", "--prefix", prefix, "--timeout-ms", "5000")
        self.assertIn(result.code, (0, 4), repr(result))
        return result.code == 4

    def put_status(self, prefix, action):
        listed = self.site.api("/environments")["environments"]
        env = next(e for e in listed if e["prefix"] == str(prefix))
        self.site.api(f"/environments/{env['id']}/status",
                      {"status": action} if action == "ok" else
                      {"status": action, "message": "by the test"}, "PUT")

    def set_up(self):
        site = self.site
        prefix = site.envs / "a"
        conda_writer.Writer(site.home).create(prefix, ["libfoo-1.0-0"])
        site.start_everything()
        site.wait_server("the environment", lambda changes: len(changes) >= 1)
        self.put_status(prefix, "block")
        harness.wait_for("the block", lambda: self.blocked(prefix))
        return site, prefix

    def follow_the_guide(self):
        site = self.site
        safe = site.dir / "safe"
        safe.mkdir(mode=0o700)
        before = {}
        for words in guide_commands():
            if "draft" in words:
                for role in ("root", "policy"):
                    before[role], where = self.key_id(role)
                    self.assertEqual(where, "elsewhere")
            words = [word.replace("STATE", str(site.server_state)).replace("SAFE", str(safe))
                     .replace("OLD_ROOT_ID", before.get("root", "?")[:8])
                     .replace("OLD_POLICY_ID", before.get("policy", "?")[:8]) for word in words]
            site.must(*words)
        return safe

    def test_keys_off_the_server(self):
        site, prefix = self.set_up()
        site.server.stop()
        safe = self.follow_the_guide()
        self.assertEqual(self.version(), 2)
        for role in ("root", "policy"):
            self.assertFalse((site.server_state / f"role-{role}.key").exists())
            self.assertEqual(self.key_id(role)[1], "elsewhere")
            self.assertEqual((safe / f"{role}-2.key").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.key_id("status")[1], "here")
        # The same again is harmless.
        self.root("publish", "--state-dir", site.server_state, "--in", "root-2.signed")
        self.assertEqual(self.version(), 2)
        site.start_server()
        site.log_in()
        site.wait_connected()
        self.put_status(prefix, "ok")
        harness.wait_for("the end of the block", lambda: not self.blocked(prefix))
        # A machine that joins now gets both roots.
        other = self.new_site()
        other.start_agent()
        code = other.dir / "join"
        code.write_text(site.join_code("--uses", "1", "--expires", "1d") + "\n")
        self.assertRun(other.ew("enroll", "--join-file", code, "--yes"), 0)
        other.wait_connected()

    def test_status_key_exchanged(self):
        """An agent that was away for two roots, and starts again with what it stored."""
        site, prefix = self.set_up()
        site.agent.stop()
        site.server.stop()
        for number in (2, 3):
            key, draft = site.dir / f"status-{number}.key", site.dir / f"draft-{number}"
            self.root("new-key", "--out", key)
            self.root("draft", "--state-dir", site.server_state, "--out", draft, "--remove-key",
                      f"status={self.key_id('status')[0]}", "--add-key", f"status={key}.pub")
            signed = f"{draft}.signed"
            self.root("sign", "--in", draft, "--key", site.server_state / "role-root.key",
                      "--out", signed)
            refused = site.run("envwarden-server", "root", "publish", "--state-dir",
                               site.server_state, "--in", signed)
            self.assertRun(refused, 1, err="could not sign as status")
            self.root("publish", "--state-dir", site.server_state, "--in", signed,
                      "--key", f"status={key}")
        self.assertEqual(self.key_id("status")[1], "here")
        site.start_agent()
        self.assertTrue(self.blocked(prefix), "the set it stored")
        site.start_server()
        site.log_in()
        site.wait_connected()
        self.assertTrue(self.blocked(prefix))
        self.put_status(prefix, "ok")
        harness.wait_for("the end of the block", lambda: not self.blocked(prefix))
        self.put_status(prefix, "block")
        harness.wait_for("the block", lambda: self.blocked(prefix))
        site.server.stop()
        site.agent.kill()
        site.start_agent()
        self.assertTrue(self.blocked(prefix), "root and set as they were stored together")

    def test_refusals(self):
        site = self.site
        site.start_server()
        state = site.server_state
        draft, key = site.dir / "draft", site.dir / "other.key"
        self.root("new-key", "--out", key)
        self.root("draft", "--state-dir", state, "--out", draft)

        def refuse(err, *words, code=1):
            self.assertRun(site.run("envwarden-server", "root", *words), code, err=err)

        refuse("stop the server first", "publish", "--state-dir", state, "--in", draft)
        refuse("stop the server first", "move-key", "--state-dir", state, "--role", "root",
               "--out", site.dir / "root.key")
        site.server.stop()
        refuse("root: 0 good signatures", "publish", "--state-dir", state, "--in", draft)
        self.root("sign", "--in", draft, "--key", key, "--out", site.dir / "forged")
        refuse("root: 0 good signatures", "publish", "--state-dir", state, "--in",
               site.dir / "forged")
        self.root("sign", "--in", draft, "--key", state / "role-root.key", "--out",
                  site.dir / "cut")
        (site.dir / "cut").write_bytes((site.dir / "cut").read_bytes()[:-9])
        refuse("envwarden-server: ", "publish", "--state-dir", state, "--in", site.dir / "cut")
        refuse("is there already", "new-key", "--out", key)
        refuse("root or policy", "move-key", "--state-dir", state, "--role", "status", "--out",
               site.dir / "x", code=2)
        refuse("no key begins with", "draft", "--state-dir", state, "--out", site.dir / "x",
               "--remove-key", "root=00000000")
        refuse("would need 1 of 0 keys", "draft", "--state-dir", state, "--out", site.dir / "x",
               "--remove-key", f"root={self.key_id('root')[0]}")
        refuse("what to do", "dance", code=2)
        self.assertEqual(self.version(), 1)
        site.start_server()


if __name__ == "__main__":
    harness.main()
