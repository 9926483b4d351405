"""What envwarden is for, from end to end: a change is seen, a block holds, nothing gets lost."""

import json
import time

import harness

SAMPLE = harness.ROOT / "packaging" / "sample" / "make-sample.sh"
SOON_S = 10  # "within a second or two", on a busy machine
FIRST = "ca-certificates-2024.2.2-hf0a4a13_0"
OLD, NEW = "libsqlite-3.40.0-hcfcfb64_0", "libsqlite-3.45.3-h091b4b1_0"


class MainJob(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.start_everything()
        self.site.log_in_command()

    # --- what people do

    def sample(self, command, name, *words):
        self.site.must(SAMPLE, command, name, *words)

    def prefix(self, name):
        return str(self.site.home / ".conda" / "envs" / name)

    def kinds(self, changes, name):
        return [c["kind"] for c in changes if c["environment"].get("prefix") == self.prefix(name)]

    def env_history(self, name):
        return self.site.admin("--json", "env", "history", self.prefix(name)).json()["changes"]

    def seen(self, name, kinds):
        """Both tell these changes of the environment, and no others, soon."""
        site = self.site
        since = time.monotonic()
        site.wait_agent(f"{kinds}", lambda found: self.kinds(found, name) == kinds, SOON_S)
        harness.wait_for(f"{kinds} at the server", lambda: sorted(
            self.kinds(self.env_history(name), name)) == sorted(kinds), SOON_S)
        print(f"{name} {kinds[-1]}: seen after {time.monotonic() - since:.1f} s", flush=True)

    def set_status(self, name, *words):
        self.assertRun(self.site.admin("env", "set-status", self.prefix(name), *words), 0)

    def check(self, name, *words):
        return self.site.ew("check", "--prefix", self.prefix(name), *words)

    def wait_check(self, name, code):
        """Until the decision has come to the agent."""
        def answer():
            result = self.check(name, "--timeout-ms", "5000")
            return result if result.code == code else None
        return harness.wait_for(f"check to exit with {code}", answer, SOON_S)

    def decision(self, name):
        return json.loads(self.check(name, "--json", "--timeout-ms", "5000").out)

    # --- the story

    def test_a_change_is_seen(self):
        self.sample("create", "work", FIRST, OLD)
        self.seen("work", ["created"])
        self.sample("install", "work", NEW)
        self.seen("work", ["created", "updated"])
        updated = self.env_history("work")
        update = next(c for c in updated if c["kind"] == "updated")
        self.assertEqual([p["version"] for p in update["added"]], ["3.45.3"])
        self.assertEqual([p["version"] for p in update["removed"]], ["3.40.0"])
        self.assertEqual(update["tool"], "conda")
        self.assertIn("install --yes", update["command"])
        self.sample("delete", "work")
        self.seen("work", ["created", "updated", "deleted"])
        # A deleted environment still answers by its last path.
        gone = self.site.ew("history", self.prefix("work"), "--json").json()["changes"]
        self.assertEqual([c["kind"] for c in gone], ["created", "updated", "deleted"])

    def test_a_block_holds(self):
        site = self.site
        self.sample("create", "work", FIRST)
        self.sample("create", "play", FIRST)
        self.seen("work", ["created"])
        self.seen("play", ["created"])
        self.assertRun(self.wait_check("work", 0), 0, "^envwarden: \"work\" may be activated.$", "^$")
        self.set_status("work", "block", "--message", "Ask IT")

        def blocked(source):
            self.assertRun(self.check("work"), 4, r"BLOCKED[\s\S]*Ask IT")
            self.assertRun(self.check("play"), 0)
            told = self.decision("work")
            self.assertEqual((told["decision"], told["source"]), ("block", source))
            self.assertEqual([r["message"] for r in told["reasons"]], ["Ask IT"])
            self.assertRegex(told["case"], r"^EW-[A-Z0-9]{4,6}$")
            return told["case"]

        self.assertRun(self.wait_check("work", 4), 4, "Ask IT")
        case = blocked("agent")
        site.server.stop()
        self.assertEqual(blocked("agent"), case)
        site.agent.stop()
        self.assertEqual(blocked("fallback"), case)
        # Nobody is there: what was never seen may be used, and the others say it was not checked.
        self.assertRun(site.ew("check", "--prefix", str(site.home / "nothing")), 0)
        self.assertEqual(self.decision("play")["source"], "fallback")
        self.assertEqual(site.ew("list").code, 3)
        site.start_agent()
        self.assertEqual(blocked("agent"), case)
        site.agent.kill()
        self.assertEqual(blocked("fallback"), case)
        site.start_agent()
        site.start_server()
        site.wait_connected()
        self.set_status("work", "ok")
        self.assertRun(self.wait_check("work", 0), 0)
        site.agent.stop()
        self.assertRun(self.check("work"), 0)
        site.start_agent()

    def test_what_is_set_holds_at_once(self):
        """set-status && check: no waiting in between."""
        self.sample("create", "work", FIRST)
        self.seen("work", ["created"])
        for _ in range(5):
            for status, code in (("block", 4), ("ok", 0)):
                told = self.site.admin("env", "set-status", self.prefix("work"), status)
                self.assertRun(self.check("work", "--timeout-ms", "5000"), code)
                self.assertRun(told, 0, None, r" \(delivered\)\.$")
        self.site.agent.stop()
        harness.wait_for("the end of the connection", lambda: not self.site.api(
            "/environments")["environments"][0]["connected"], SOON_S)
        told = self.site.admin("env", "set-status", self.prefix("work"), "block")
        self.assertRun(told, 0, None, r"is BLOCKED; its machine is not connected and hears of it")
        self.site.start_agent()
        self.site.wait_connected()
        self.wait_check("work", 4)

    def test_a_warning_warns(self):
        self.sample("create", "work", FIRST)
        self.seen("work", ["created"])
        self.set_status("work", "warn", "--message", "Soon to be blocked")

        def warned():
            return self.decision("work")["decision"] == "warn"
        harness.wait_for("the warning", warned, SOON_S)
        self.assertRun(self.check("work"), 0, r"WARNING[\s\S]*Soon to be blocked")

    def test_a_block_follows_a_rename(self):
        self.sample("create", "work", FIRST)
        self.seen("work", ["created"])
        self.set_status("work", "block", "--message", "Ask IT")
        self.wait_check("work", 4)
        (self.site.home / ".conda/envs/work").rename(self.site.home / ".conda/envs/other")
        self.site.wait_agent("the rename", lambda found: found[-1]["kind"] == "renamed", SOON_S)
        self.assertRun(self.wait_check("other", 4), 4, "Ask IT")

    def test_what_happened_meanwhile_is_delivered_once(self):
        site = self.site
        self.sample("create", "work", FIRST)
        self.seen("work", ["created"])
        site.server.stop()
        self.sample("install", "work", OLD)
        site.wait_agent("the install", lambda f: self.kinds(f, "work") == ["created", "installed"])
        self.sample("install", "work", NEW)
        site.wait_agent("the update", lambda f: self.kinds(f, "work")[-1] == "updated")
        site.agent.stop()
        self.sample("remove", "work", "libsqlite")
        site.start_agent()
        site.wait_agent("the removal", lambda f: self.kinds(f, "work")[-1] == "removed")
        self.assertTrue(site.agent_changes()[-1]["seen_at_start"])
        site.start_server()
        expected = ["created", "installed", "updated", "removed"]
        self.seen("work", expected)
        # Another start of either brings nothing new.
        site.server.stop()
        site.start_server()
        site.agent.stop()
        site.start_agent()
        site.wait_connected()
        self.sample("create", "after", FIRST)
        self.seen("after", ["created"])
        self.seen("work", expected)
        self.assertEqual(len(site.server_changes()), len(expected) + 1)

    def test_logging_off_is_off(self):
        site = self.site
        self.sample("create", "before", FIRST)
        self.seen("before", ["created"])
        site.logging("off")
        harness.wait_for("logging to end", lambda: "logging is off" in site.agent.log_tail(20),
                         SOON_S)
        self.sample("create", "unseen", FIRST)
        self.set_status("before", "block", "--message", "Ask IT")
        self.sample("delete", "unseen")
        self.assertRun(self.check("before"), 0)
        site.logging("on")
        self.sample("create", "after", FIRST)
        self.seen("after", ["created"])
        self.assertEqual(self.kinds(site.server_changes(), "unseen"), [])


if __name__ == "__main__":
    harness.main()
