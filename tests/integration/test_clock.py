"""Clocks that are years behind or ahead, set while graces, codes, exceptions, statuses and dates of
rules are open: only trusted time ends them.
"""

import datetime

import harness

import conda_writer  # beside replay.py: harness says where

DAY_S = 86400
YEAR_S = 365 * DAY_S
SOON_S = 30
NAMES = ("deferred", "unlocked", "excepted", "dated", "status")


def day_text(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
            ).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.wall, self.mono = site.dir / "wall", site.dir / "mono"
        self.set(self.wall, 0)
        self.set(self.mono, 0)
        writer = conda_writer.Writer(site.home)
        for name in NAMES:
            writer.create(site.envs / name, ["libfoo-1.0-0"])
        site.agent.preload("clock_ahead", AHEAD_FILE=self.wall, MONO_FILE=self.mono)
        site.start_everything()
        site.log_in_command()
        site.wait_server("all of them", lambda changes: len(changes) >= len(NAMES))
        self.open_all()

    def set(self, clock, seconds):
        """As a whole: it is read all the time."""
        new = clock.with_suffix(".new")
        new.write_text(f"{seconds}\n")
        new.rename(clock)

    def open_all(self):
        """Each holds for a day from now; what it says then is decision AFTER."""
        site = self.site
        rule = ("  - id: {0}\n    when: {{all: [{{env_name: {0}}}, {{package: libfoo}}]}}\n"
                "    action: block\n")
        path = site.dir / "policy.yaml"
        path.write_text('policy: 1\ndefaults: {contact: "it@example.org", defer: 1d,'
                        " stale_after: 0d}\nrules:\n" + "".join(
                            rule.format(name) for name in NAMES[:4]) + f"    from: {day_text(DAY_S)}\n")
        self.assertRun(site.admin("policy", "apply", path, "--yes", "--no-wait"), 0)
        ids = {env["name"]: env["id"] for env in site.api("/environments")["environments"]}
        site.api("/exceptions", {"environment": ids["excepted"], "rule": "excepted", "reason": "so",
                                 "expires": day_text(DAY_S)})
        site.api(f"/environments/{ids['status']}/status",
                 {"status": "block", "message": "no", "until": day_text(DAY_S)}, "PUT")
        harness.wait_for("what can be deferred", lambda: site.ew(
            "defer", site.envs / "deferred").code == 0, SOON_S)
        code = site.admin("--json", "unlock", site.envs / "unlocked", "--reason", "demo", "--for",
                          "1d").json()["code"]
        self.assertRun(site.ew("unlock", site.envs / "unlocked", code), 0)
        self.wait_decisions(self.WITHIN)

    WITHIN = {"deferred": "warn", "unlocked": "allow", "excepted": "allow", "dated": "warn",
              "status": "block"}
    AFTER = {"deferred": "block", "unlocked": "block", "excepted": "block", "dated": "block",
             "status": "allow"}

    def decisions(self):
        found = {}
        for name in NAMES:
            told = self.site.ew("check", "--prefix", self.site.envs / name, "--json",
                                "--timeout-ms", "5000")
            answer = harness.json.loads(told.out)
            self.assertEqual(answer["source"], "agent", told)
            found[name] = answer["decision"]
        return found

    def wait_decisions(self, expected):
        def right():
            found = self.decisions()
            if found != expected:
                raise harness.Failed(f"{found}, not {expected}")
            return True
        harness.wait_for("the decisions", right, SOON_S)

    def again(self, how):
        if how == "killed":
            self.site.agent.kill()
        else:
            self.site.agent.stop()
        self.site.start_agent()

    def test_the_wall_clock(self):
        """However it is set, and whether the agent runs, begins then, or hears of its server."""
        site = self.site
        for connected in (True, False):
            if not connected:
                site.server.stop()
            for seconds in (-40 * YEAR_S, -2 * DAY_S, 2 * DAY_S, 40 * YEAR_S, 0):
                with self.subTest(connected=connected, seconds=seconds):
                    self.set(self.wall, seconds)
                    self.assertEqual(self.decisions(), self.WITHIN)
                    self.again("stopped")
                    self.wait_decisions(self.WITHIN)
                    behind = [d for d in site.status()["degraded"] if d["what"] == "clock behind"]
                    self.assertEqual(bool(behind), seconds < 0, behind)
        # What is given meanwhile counts by trusted time, too.
        site.start_server()
        self.set(self.wall, 40 * YEAR_S)
        site.log_in()
        code = site.admin("--json", "unlock", site.envs / "status", "--and-status", "--reason",
                          "demo", "--for", "1h").json()["code"]
        self.assertRun(site.ew("unlock", site.envs / "status", code), 0)
        self.wait_decisions({**self.WITHIN, "status": "allow"})

    def test_time_that_passes_offline(self):
        """Carried forward by the monotonic clock, and over a restart, with a wall clock that lies."""
        site = self.site
        site.server.stop()
        self.set(self.wall, -YEAR_S)
        self.set(self.mono, DAY_S // 2)
        self.again("stopped")
        self.wait_decisions(self.WITHIN)
        # It began anew with a clock that is as far as it was: of the day, half is over.
        self.set(self.mono, DAY_S + 600)
        self.wait_decisions(self.AFTER)
        self.again("stopped")
        self.set(self.mono, 0)  # as after the machine's start
        self.again("stopped")
        self.wait_decisions(self.AFTER)
        self.again("killed")
        self.wait_decisions(self.AFTER)

    def test_the_servers_clock(self):
        """It goes on: all ends. It goes back: what has ended stays so."""
        site = self.site
        for seconds in (2 * DAY_S, 0):
            site.server.stop()
            site.server.preload("clock_ahead", AHEAD_S=seconds)
            site.start_server()
            site.wait_connected()
            self.wait_decisions(self.AFTER)
        self.again("killed")
        self.wait_decisions(self.AFTER)


if __name__ == "__main__":
    harness.main()
