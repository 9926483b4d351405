"""The agent's decisions with the real programs: kept, told, deferred, unlocked, and offline."""

import json
import os
import pathlib
import signal
import time

import governed
import harness
from governed import FIRST, SOON_S


class Decisions(governed.Case):
    def shown(self):
        return self.site.admin("--json", "env", "show", self.prefix).json()

    def granted(self, which, line):
        """What `show` tells of a grace or a code that holds."""
        show = self.site.ew("show", self.prefix)
        self.assertRun(show, 0, None, rf"\n{which} +{line}\n")
        grace = self.site.ew("show", self.prefix, "--json").json()[which]
        self.assertEqual(grace["uid"], os.getuid())
        self.assertLess(grace["since"], grace["until"])
        return grace

    def test_kept_over_a_restart(self):
        site = self.site
        site.server.stop()
        site.agent.stop()
        site.start_agent()
        self.wait_check(4)
        self.assertRun(self.check(), 4, "Too old")
        self.assertEqual(json.loads(self.check("--json").out)["policy_version"], 1)
        # Without the agent the file it left says the same.
        fix = json.loads(self.check("--json").out)["reasons"][0]["fix"]
        site.agent.stop()
        result = self.check("--json")
        self.assertEqual((result.code, json.loads(result.out)["source"]), (4, "fallback"))
        self.assertEqual(json.loads(result.out)["reasons"][0]["fix"], fix)
        self.assertIn(fix, self.check().err.replace("~", str(site.home)))

    def test_use_changes_what_is_said(self):
        """Both ways: what holds of environments that lie unused, and of those that do not."""
        site = self.site
        for name, condition in (("idle", "{unused_for: 90d}"), ("busy", "{not: {unused_for: 90d}}")):
            prefix = self.make(name)
            # A hundred days ago.
            pathlib.Path(prefix, "conda-meta", "created_at").write_text(
                str(int(time.time()) - 8640000))
            site.record(prefix)
            file = site.dir / "use.yaml"
            file.write_text("policy: 1\ndefaults: {contact: x@y}\nrules:\n  - {id: use, action: warn, "
                            f"when: {{all: [{{env_name: {name}}}, {condition}]}}}}\n")
            self.assertRun(site.admin("policy", "apply", file, "--yes"), 0)
            before, after = ("warn", "allow") if name == "idle" else ("allow", "warn")
            said = lambda: json.loads(self.check("--json", prefix=prefix).out)["decision"]
            version = 2 if name == "idle" else 3
            harness.wait_for("the policy", lambda: json.loads(
                self.check("--json", prefix=prefix).out)["policy_version"] == version, SOON_S)
            harness.wait_for(f"{name} before it is used", lambda: said() == before, SOON_S)
            site.ew("check", "--hook", "--timeout-ms", "60000", "--tool", "conda", prefix)
            harness.wait_for(f"{name} after that", lambda: said() == after, SOON_S)

    def test_what_the_agent_can_not_know(self):
        """on_timeout, of what was never seen: the reader hangs, or there is none."""
        site = self.site
        self.apply(defaults=", on_timeout: block")
        asked = lambda prefix: json.loads(self.check("--json", prefix=prefix).out)
        harness.wait_for("the policy", lambda: asked(self.prefix)["policy_version"] == 2, SOON_S)
        unknown = str(site.home / "unknown")

        def says(prefix, *want):
            said = asked(prefix)
            self.assertEqual((said["decision"], said["source"], *(
                r["kind"] for r in said["reasons"])), want)

        says(unknown, "allow", "agent")
        reader = site.worker("reader")
        os.kill(reader, signal.SIGSTOP)
        try:
            says(unknown, "block", "agent", "timeout")
            says(self.prefix, "block", "agent", "rule")
        finally:
            os.kill(reader, signal.SIGCONT)
        # And between one that ended and the next: answers that say so.
        def blind():
            reader = site.worker("reader")
            if reader:
                os.kill(reader, signal.SIGKILL)
            said = asked(unknown)
            return said if "can't look" in said.get("notice", "") else None

        said = harness.wait_for("an answer without a reader", blind, SOON_S)
        self.assertEqual(("block", "timeout"), (said["decision"], said["reasons"][0]["kind"]))
        harness.wait_for("the next reader", lambda: asked(unknown)["decision"] == "allow", 2 * SOON_S)

    def test_change_on_its_way_to_the_store(self):
        """The reader is done with a change that the core has not stored yet: that is said."""
        site = self.site
        slow = site.dir / "slow"
        site.agent.stop()
        site.agent.preload("disk_fault", DISK_SLOW=slow)
        site.start_agent()
        self.wait_check(4)
        meta = pathlib.Path(self.prefix, "conda-meta")
        told = lambda: json.loads(self.check("--json").out)
        for round_number in range(2):
            harness.wait_for("it to rest", lambda: not told().get("notice"), SOON_S)
            before, after = ("block", "allow") if round_number % 2 == 0 else ("allow", "block")
            self.assertEqual(told()["decision"], before)
            slow.touch()
            old = next(meta.glob("ca-certificates-*.json"))
            new = meta / (FIRST if after == "block" else "ca-certificates-2026.1.1-0")
            new = new.with_name(f"{new.name}.json")
            record = json.loads(old.read_text())
            record["version"], record["build"] = new.stem.split("-")[-2:]
            new.write_text(json.dumps(record))
            old.unlink()

            def known():
                said = told()
                self.assertTrue(said["decision"] == after or said.get("notice"), said)
                return said["decision"] == after

            harness.wait_for("the change", known, SOON_S)
            slow.unlink()

    def page(self):
        """What an administrator sees of it, as text."""
        return self.site.admin("env", "show", self.prefix).out

    def test_defer_once(self):
        site = self.site
        self.assertRun(site.ew("defer", self.prefix), 0, "warns instead of being blocked until")
        self.assertRun(self.check(), 0, "WARNING")
        self.assertRun(site.ew("defer", self.prefix), 7, "not blocked")
        harness.wait_for("the server's knowing of it", lambda: "\nDeferred " in self.page(), SOON_S)
        for end in (site.agent.kill, site.agent.stop):
            end()
            site.start_agent()
            self.wait_check(0)
            grace = self.granted("deferred", r"until 20\d\d-\S+ \S+, by \S+")
            self.assertRegex(grace["case"], "^EW-")
        # An administrator's own block can't be deferred.
        other = self.make("other")
        self.assertRun(site.admin("env", "set-status", other, "block", "--message", "No"), 0)
        harness.wait_for("the status", lambda: "No" in self.check(prefix=other).err, SOON_S)
        self.assertRun(site.ew("defer", other), 7, "administrator")

    def test_unlock_offline(self):
        site = self.site
        made = site.admin("--json", "unlock", self.prefix, "--reason", "a demo", "--for", "2h")
        self.assertRun(made, 0)
        code = made.json()["code"]
        second = site.admin("--json", "unlock", self.prefix, "--reason", "more").json()["code"]
        site.server.stop()
        wrong = ("A" if code[0] != "A" else "B") + code[1:]
        self.assertRun(site.ew("unlock", self.prefix, wrong), 1)
        self.assertRun(self.check(), 4)
        for good in (code, second, code):
            self.assertRun(site.ew("unlock", self.prefix, good), 0, "is unlocked until")
        self.assertRun(self.check(), 0)
        for _ in range(2):
            last = site.ew("unlock", self.prefix, wrong)
        self.assertRun(last, 1, "too many codes")
        site.agent.kill()  # it was durable before it was said
        site.start_agent()
        self.wait_check(0)
        self.assertEqual(self.granted("unlocked", r"until 20\d\d-\S+ \S+, by \S+, with code 1")
                         ["lifts_status"], False)
        site.start_server()

        def used():
            return [json.loads(line["detail"]) for line in site.api("/audit")["entries"]
                    if line["what"] == "unlock.used"]

        harness.wait_for("both uses on record", lambda: len(used()) == 2, SOON_S)
        for end in (site.agent.stop, site.server.stop):
            end()
            (site.start_agent if end == site.agent.stop else site.start_server)()
            site.wait_connected()
        self.assertRun(site.ew("record", self.prefix), 0)
        told = sorted(used(), key=lambda one: one["serial"])
        self.assertEqual([one["serial"] for one in told], [1, 2])
        for one in told:
            self.assertEqual(one["uid"], os.getuid())
            self.assertRegex(one["used"], r"^20\d\d-")

    def test_unlock_and_a_status(self):
        """What a code does not lift, it is refused for; the administrator is told before."""
        site = self.site
        self.assertRun(site.admin("env", "set-status", self.prefix, "block", "--message",
                                  "No"), 0)
        harness.wait_for("the status", lambda: "No" in self.check().err, SOON_S)
        for option, told, code, said in (
                ((), "make one with --and-status", 7, "blocked this environment itself"),
                (("--and-status",), "shown only here", 0, "is unlocked until")):
            made = site.admin("unlock", self.prefix, "--reason", "a demo", *option)
            self.assertRun(made, 0, told)
            self.assertRun(site.ew("unlock", self.prefix, made.out.split()[0]), code, said)
            self.wait_check(0 if code == 0 else 4)
        harness.wait_for("the server's knowing of it",
                         lambda: "\nCode used 2\n" in self.page(), SOON_S)
        self.assertRun(site.admin("unlock", "revoke", self.prefix), 0)
        self.wait_check(4)
        harness.wait_for("its knowing of the end", lambda: "Code used" not in self.page(), SOON_S)

    def test_a_copy_made_offline(self):
        site = self.site
        self.assertRun(site.admin("policy", "show"), 0)
        self.assertRun(site.admin("env", "set-status", self.prefix, "block", "--message",
                                  "Leaks"), 0)
        harness.wait_for("the status", lambda: "Leaks" in self.check().err, SOON_S)
        site.server.stop()
        site.must(governed.SAMPLE, "create", "copy", governed.FIRST)
        copy = str(site.home / ".conda" / "envs" / "copy")
        harness.wait_for("the copy's block", lambda: "Leaks" in self.check(prefix=copy).err, SOON_S)
        self.assertRun(self.check(prefix=copy), 4, "same packages")
        # What the server has not heard of it is remembered, however the agent ended.
        for end in (site.agent.stop, site.agent.kill):
            end()
            site.start_agent()
            harness.wait_for("the copy's block", lambda: "Leaks" in self.check(prefix=copy).err, SOON_S)
            self.assertRun(self.check(prefix=copy), 4, "same packages")
        # Once it has, what it says holds: the same block, until that is taken away from the copy.
        site.start_server()
        harness.wait_for("the copy at the server", lambda: self.at_server(copy), SOON_S)
        harness.wait_for("the server's word",
                         lambda: "same packages" not in self.check(prefix=copy).err, SOON_S)
        self.assertRun(self.check(prefix=copy), 4, "Leaks")
        self.assertRun(site.admin("env", "set-status", copy, "ok"), 0)
        harness.wait_for("its own status", lambda: "Leaks" not in self.check(prefix=copy).err, SOON_S)
        site.agent.stop()
        site.start_agent()
        self.wait_check(4, copy)  # by the rule
        self.assertNotIn("Leaks", self.check(prefix=copy).err)

    def test_told(self):
        def refusals():
            return self.shown()["environment"].get("decision", {}).get("refusals", 0)
        for _ in range(3):
            self.assertRun(self.check("--hook"), 4)
        harness.wait_for("the decision at the server", lambda: self.shown()["environment"].get(
            "decision"), SOON_S)
        # Counters go once a minute.
        harness.wait_for("the refusals", lambda: refusals() == 3, 90)


if __name__ == "__main__":
    harness.main()
