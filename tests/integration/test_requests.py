"""Members ask for exceptions, with the real programs: offline, connected, killed in between."""

import shlex

import governed
import harness
from governed import SOON_S

DAY_S = 86400

GUIDE = harness.ROOT / "docs" / "policy.md"
HEADING = "## Asking for an exception"


def guide_commands():
    text = GUIDE.read_text().split(HEADING)[1].split("\n## ")[0]
    return [shlex.split(line) for line in text.splitlines() if line.startswith("    ")]


class Requests(governed.Case):
    def requests(self):
        """The member's view, the newest first."""
        return self.site.ew("request", "--json", self.prefix).json()["requests"]

    def state(self):
        known = self.requests()
        return known[0]["state"] if known else None

    def wait_state(self, state):
        harness.wait_for(f"the request to be {state}", lambda: self.state() == state, SOON_S)
        return self.requests()[0]

    def at_admin(self, *words):
        return self.site.admin("--json", "request", "list", *words).json()["requests"]

    def restart_agent_killed(self):
        self.site.agent.kill()
        self.site.start_agent()

    def test_the_story(self):
        site = self.site
        self.assertRun(site.ew("request", self.prefix), 0, out="No exception")
        # Without the network it waits here, over the agent's sudden end.
        site.server.kill()
        harness.wait_for("the loss", lambda: not site.status()["connected"], SOON_S)
        asked = site.ew("request", self.prefix, "--reason", "the <driver>\nneeds \033[1mit")
        self.assertRun(asked, 0, "waits on this machine")
        self.assertEqual(self.state(), "queued")
        self.restart_agent_killed()
        self.assertEqual(self.state(), "queued")
        first = self.requests()[0]
        # Asking again is the same request.
        again = site.ew("request", "--json", self.prefix, "--reason", "please").json()
        self.assertEqual((again["new"], again["requests"][0]["id"]), (False, first["id"]))
        # Connected, it reaches the administrators, once.
        site.start_server()
        site.wait_connected()
        self.wait_state("open")
        self.restart_agent_killed()
        site.server.kill()
        site.start_server()
        self.wait_state("open")
        seen = self.at_admin()
        self.assertEqual([(r["id"], r["prefix"], r["reason"]) for r in seen],
                         [(first["id"], self.prefix, "the <driver>\nneeds \033[1mit")])
        self.assertNotIn("\033", site.admin("request", "list").out)
        shown = site.ew("request", self.prefix).out
        self.assertNotIn("\033", shown)
        self.assertIn("| the <driver>", shown)
        # Denied: the member reads why, also after a restart, and is still blocked.
        self.assertRun(site.admin("request", "deny", first["id"], "--message",
                                  "Use the mirror.\nReally \033[2J"), 0)
        told = self.wait_state("denied")
        self.assertEqual(told["message"], "Use the mirror.\nReally \033[2J")
        site.server.stop()
        self.restart_agent_killed()
        self.assertEqual(self.state(), "denied")
        shown = site.ew("request", self.prefix).out
        self.assertIn("| Use the mirror.", shown)
        self.assertNotIn("\033", shown)
        self.wait_check(4)
        # Asked again, approved: the block lifts by itself.
        site.start_server()
        site.wait_connected()
        self.assertRun(site.ew("request", self.prefix, "--reason", "It can't be built there"), 0)
        second = self.wait_state("open")
        self.assertNotEqual(second["id"], first["id"])
        self.assertRun(site.admin("request", "approve", second["id"], "--expires", "30d"), 0)
        self.wait_check(0)
        told = self.wait_state("approved")
        granted = site.admin("--json", "exception", "list").json()["exceptions"]
        self.assertEqual([told["exception"]], [x["id"] for x in granted])
        self.assertIn(f"as exception {told['exception']}",
                      " ".join(site.ew("request", self.prefix).out.split()))
        self.assertRun(site.ew("request", self.prefix, "--reason", "more"), 7, "nothing holds it")
        # It is in force without server and after a restart; revoked, it ends.
        site.server.kill()
        self.restart_agent_killed()
        self.wait_check(0)
        site.start_server()
        site.wait_connected()
        self.assertRun(site.admin("exception", "revoke", told["exception"]), 0)
        self.wait_check(4)
        self.wait_state("ended")
        self.assertEqual([r["state"] for r in self.requests()], ["ended", "denied"])
        self.assertRun(self.check(), 4, "note: The exception that was granted ended on")

    def test_refused(self):
        site = self.site
        self.assertRun(site.ew("request", self.prefix, "--reason", " \n"), 2, "why")
        self.assertRun(site.ew("request", self.prefix, "--reason", "x" * 1025), 2, "1024")
        self.assertRun(site.ew("request", "nowhere", "--reason", "x"), 1)
        self.assertEqual(self.requests(), [])
        # What nothing holds back needs no exception.
        file = site.dir / "policy.yaml"
        file.write_text("policy: 1\nrules: []\n")
        self.assertRun(site.admin("policy", "apply", file, "--yes"), 0)
        self.wait_check(0)
        self.assertRun(site.ew("request", self.prefix, "--reason", "x"), 7, "nothing holds it")

    def test_as_the_docs_say(self):
        site = self.site
        outcomes = []
        for words in guide_commands():
            known = self.requests()
            if words[:3] == ["envwarden-admin", "request", "approve"]:
                # One that was denied can't be approved: the member asks again.
                self.assertRun(site.ew("request", self.prefix, "--reason", "once more"), 0)
                known = [self.wait_state("open")]
            words = [known[0]["id"] if word == "ID" else word for word in words]
            program, *rest = words
            result = (site.admin(*rest) if program == "envwarden-admin"
                      else site.ew(*rest, CONDA_ENVS_DIRS=str(site.home / ".conda" / "envs")))
            self.assertRun(result, 0)
            if rest[:1] == ["request"] and program == "envwarden":
                self.wait_state("open")
            if rest[:2] == ["request", "deny"]:
                self.wait_state("denied")
            outcomes.append(rest[1] if program == "envwarden-admin" else rest[0])
        self.assertEqual(outcomes, ["request", "request", "list", "deny", "approve"])
        self.wait_check(0)
        self.wait_state("approved")

    def test_message_in_the_docs(self):
        golden = harness.ROOT / "tests" / "fixtures" / "golden" / "cli" / "message_block_rule.80"
        shown = "".join(f"    {line}\n" for line in golden.read_text().splitlines())
        self.assertIn(shown, GUIDE.read_text())

    def test_killed_while_asking(self):
        """Whatever was said to be asked is, once; whenever the agent is killed."""
        site = self.site
        for i in range(6):
            before = {r["id"] for r in self.requests()}
            process = site.agent.pid
            asked = site.ew("request", "--json", self.prefix, "--reason", f"try {i}")
            self.assertEqual(asked.code, 0, asked)
            self.assertEqual(process, site.agent.pid)
            site.agent.kill()
            site.start_agent()
            known = self.requests()
            self.assertEqual(len(known), 1)
            self.assertTrue(before <= {known[0]["id"]})
        site.wait_connected()
        self.wait_state("open")
        self.assertEqual(len(self.at_admin()), 1)


    def test_a_machine_that_was_away(self):
        """What was answered 60 days ago is still told to who asked for it, once it is back."""
        site = self.site
        self.assertRun(site.ew("request", self.prefix, "--reason", "please"), 0)
        asked = self.wait_state("open")
        site.agent.stop()
        self.assertRun(site.admin("request", "deny", asked["id"], "--message", "Never."), 0)
        site.server.stop()
        site.server.preload("clock_ahead", AHEAD_S=60 * DAY_S)
        site.start_server()
        site.start_agent()  # it renews its certificate first
        told = self.wait_state("denied")
        self.assertEqual((told["id"], told["message"]), (asked["id"], "Never."))
        self.restart_agent_killed()
        self.assertEqual(self.state(), "denied")

    def test_another_organisation(self):
        """What one organisation was asked, and what it granted, is nothing to the next."""
        site, other = self.site, self.new_site()
        other.organisation = "Elsewhere"
        other.start_server()
        other.log_in()
        other.log_in_command()
        other.logging("on")
        self.assertRun(other.admin("policy", "apply", site.dir / "policy.yaml", "--yes",
                                   "--no-wait"), 0)
        code = site.admin("--json", "unlock", self.prefix, "--reason", "demo").json()["code"]
        self.assertRun(site.ew("request", self.prefix, "--reason", "delivered"), 0)
        asked = self.wait_state("open")
        self.assertRun(site.admin("request", "deny", asked["id"], "--message", "No."), 0)
        self.wait_state("denied")
        harness.wait_for("the grace", lambda: site.ew("defer", self.prefix).code == 0, SOON_S)
        site.server.kill()
        self.assertRun(site.ew("request", self.prefix, "--reason", "a secret of the first"), 0)
        self.assertEqual(self.state(), "queued")
        self.assertRun(site.ew("unlock", self.prefix, code), 0)
        self.wait_check(0)
        site.agent.stop()
        (site.agent_state / "identity").unlink()
        site.start_agent()
        join = site.dir / "join"
        join.write_text(other.join_code("--uses", "1", "--expires", "1d") + "\n")
        self.assertRun(site.ew("enroll", "--join-file", join, "--yes"), 0)
        site.wait_connected()
        for _ in range(2):
            self.wait_check(4)
            self.assertEqual(self.requests(), [])
            harness.wait_for("all to be told", lambda: site.status()["journal"]["head"]
                             == site.status()["journal"]["acked"], SOON_S)
            self.assertEqual(other.admin("--json", "request", "list").json()["requests"], [])
            self.restart_agent_killed()
            site.wait_connected()
        # It hears of the block, although the first one had heard of the same.
        harness.wait_for("the evidence", lambda: self.prefix in other.admin(
            "policy", "report", "old-certificates").out, SOON_S)
        self.assertRun(site.ew("defer", self.prefix), 0)
        self.wait_check(0)


if __name__ == "__main__":
    harness.main()
