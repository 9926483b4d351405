"""What `envwarden check` says to who asks by hand or in a script, and what it says to the gate."""

import json

import governed
import harness
from governed import SOON_S


class Plainly(governed.Case):
    def test_it_is_answered_every_time(self):
        self.apply("warn")
        harness.wait_for("the warning", lambda: "WARNING" in self.check().err, SOON_S)
        for _ in range(2):
            self.assertRun(self.check(), 0, r'"old" may be activated, with a WARNING: .*Too old')
        # Asking takes nothing from the gate, which tells once a day.
        self.assertRun(self.check("--hook"), 0, r'"old" is active, with a WARNING: .*Too old')
        self.assertEqual(self.check("--hook").err, "")
        self.assertRun(self.check(), 0, "WARNING")
        self.apply("block")
        self.wait_check(4)
        self.assertRun(self.check(), 4, r'"old" is BLOCKED and can\'t be activated: ')
        self.assertRun(self.check("--hook"), 4, r'"old" is BLOCKED and was not activated: ')

    def test_there_is_none(self):
        site = self.site
        absent = 'no environment "nope" is known; see: envwarden list\n$'
        self.assertRun(site.ew("check", "nope"), 1, f"^envwarden: {absent}")
        told = site.ew("check", "--json", "nope")
        self.assertEqual((told.code, json.loads(told.out)["absent"]), (1, True))
        self.assertRun(site.ew("check", "--name", "a/b"), 1, 'no environment "a/b" is known')
        self.assertRun(site.ew("check", "--hook", "--name", "a/b"), 0, "without a check")
        # The tool says so itself.
        self.assertRun(site.ew("check", "--hook", "nope"), 0, "^$")
        for words in (("show",), ("history",), ("request",), ("defer",), ("export", "--format", "yaml"),
                      ("record",), ("diff", "--from", "1")):
            self.assertRun(site.ew(*words, "nope"), 1, absent)
        self.assertRun(site.ew("show", "/no/where"), 1, 'no environment "/no/where" is known')

    def test_without_the_agent(self):
        self.site.must(governed.SAMPLE, "create", "new", "requests-2.28.2-pyhd8ed1ab_0")
        fine = str(self.site.home / ".conda" / "envs" / "new")
        self.wait_check(0, fine)
        self.site.agent.stop()
        for _ in range(2):
            self.assertRun(self.check(prefix=fine), 0, 'not reachable; "new" may be activated without')
        self.assertRun(self.check("--hook", prefix=fine), 0, 'not reachable; "new" was activated with')
        self.assertEqual(self.check("--hook", prefix=fine).err, "")

    def test_stale(self):
        """Members are told where to look, and it is told there."""
        site = self.site
        self.apply("warn", ", stale_after: 5s, when_stale: block")
        site.server.stop()
        self.wait_check(4)
        self.assertRun(self.check(), 4, "not heard from your organisation for too long")
        told = harness.wait_for("the status", lambda: [
            d for d in site.status()["degraded"] if d["what"] == "stale"], SOON_S)
        self.assertIn("was last heard on 20", told[0]["why"])
        self.assertIn("envwarden import FILE", told[0]["do"])
        self.assertRun(site.ew("doctor"), 5, out=r"degraded +stale\n +why +your organisation was last")
        site.start_server()
        site.wait_connected()
        self.wait_check(0)
        self.assertEqual([d for d in site.status()["degraded"] if d["what"] == "stale"], [])


if __name__ == "__main__":
    harness.main()
