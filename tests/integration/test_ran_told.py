"""What is run although it is blocked, at the server: by whom, since when, how often, once each."""

import os
import shutil
import subprocess
import sys
import time
import unittest
import urllib.parse

import harness

import conda_writer  # beside replay.py: harness says where

CONFIG = "sweep_s = 10\nsettle_ms = 50\n"
LOOK_S = 150  # two looks at what runs, the minute after which it is told, and a busy machine
ANA, BOB = 61002, 61003  # numbers only: no such accounts exist
NOT_PERMITTED = -50007
FORGE = harness.ROOT / "tests" / "support" / "ran_client.py"
RULES = """policy: 1
rules:
  - {id: no-foo, when: {package: libfoo}, action: block, message: "No foo."}
"""


def as_account(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


class Ran(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.agent_config.write_text(CONFIG)
        self.site.dir.chmod(0o755)
        self.prefix = self.create("etl")

    def create(self, name):
        prefix = self.site.envs / name
        conda_writer.Writer(self.site.home).create(prefix, ["libfoo-1.0-0"])
        (prefix / "bin").mkdir(exist_ok=True)
        shutil.copy("/bin/sleep", prefix / "bin" / "python3")
        return prefix

    def run_in(self, prefix, uid=None):
        """Its python, for as long as the test goes; started past every gate. What begins within a
        tenth of a second of a block may have begun before it, as far as the system tells."""
        time.sleep(0.3)
        return self.start([prefix / "bin" / "python3", "1000"], user=uid)

    def start(self, words, **options):
        process = subprocess.Popen([str(word) for word in words], **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def begin(self, *prefixes):
        self.site.start_everything()
        self.site.log_in_command()
        wanted = set(map(str, prefixes or [self.prefix]))
        harness.wait_for("it at the server", lambda: wanted <= {
            env["prefix"] for env in self.site.api("/environments")["environments"]})

    def apply(self):
        file = self.site.dir / "rules.yaml"
        file.write_text(RULES)
        self.assertRun(self.site.admin("policy", "apply", file, "--yes"), 0)
        self.wait_check(4)

    def wait_check(self, code, prefix=None):
        harness.wait_for(f"check to exit with {code}", lambda: self.site.ew(
            "check", "--prefix", prefix or self.prefix, "--timeout-ms", "5000").code == code)

    def own(self, rows):
        """What else runs on this machine is seen too."""
        return [row for row in rows if row.get("prefix", "").startswith(f"{self.site.dir}/")]

    def rows(self, query=""):
        return self.own(self.site.api(f"/ran-after-block{query}")["runs"])

    def wait_rows(self, n, query=""):
        return harness.wait_for(f"{n} rows at the server", lambda: (
            rows if len(rows := self.rows(query)) == n else None), LOOK_S)

    def shown(self, prefix=None):
        return self.site.ew("show", prefix or self.prefix, "--json").json().get(
            "ran_after_block", [])

    # --- one user

    def test_on_the_server_once(self):
        site = self.site
        self.begin()
        self.apply()
        self.run_in(self.prefix)
        [row] = self.wait_rows(1)
        self.assertEqual((row["prefix"], row["uid"], row["programs"], row["shells"],
                          row["repairs"]), (str(self.prefix), os.getuid(), 1, 0, 0))
        self.assertEqual(row["reasons"], [{"kind": "rule", "rule": "no-foo"}])
        [mine] = self.shown()
        self.assertEqual((mine["uid"], mine["programs"], mine["first"]),
                         (os.getuid(), 1, row["first"]))
        self.assertRun(site.ew("show", self.prefix), 0, None, "1 time a program.*rule no-foo")
        # Another start of the agent, in the middle of it: seen again, and not counted again.
        for _ in range(2):
            site.agent.kill()
            site.start_agent()
            site.wait_connected()
        [again] = self.rows()
        self.assertEqual((again["programs"], again["first"]), (1, row["first"]))
        # Filters, and what people see.
        for query, n in (("?rule=no-foo", 1), ("?rule=no", 0), ("?rule=other", 0),
                         ("?user=nobody-here", 0), ("?since=2099-01-01T00:00:00Z", 0),
                         (f"?environment={row['environment']}", 1),
                         (f"?machine={row['machine']}", 1), ("?machine=elsewhere", 0),
                         (f"?machine={row['hostname']}&since=2020-01-01T00:00:00Z", 1)):
            self.assertEqual(len(self.rows(query)), n, query)
        self.assertRun(site.admin("env", "ran"), 0, None, r"rule no-foo +\S+ +\S*etl")
        self.assertRun(site.admin("env", "ran", self.prefix, "--rule", "no-foo", "--since", "1d"), 0,
                       None, "no-foo")
        self.assertRun(site.admin("env", "ran", "--rule", "other"), 0, "Nobody was seen", r"\A\Z")
        told = site.admin("env", "ran", "--json").json()
        self.assertEqual(told["schema"], "envwarden.ran_after_block/1")
        self.assertEqual(len(self.own(told["runs"])), 1)
        self.assertRun(site.admin("env", "show", self.prefix), 0, None, "Ran +by .*programs 1,")
        self.assertEqual(site.admin("env", "show", self.prefix, "--json").json()[
            "ran_after_block"], self.own(told["runs"]))

    def test_seen_without_a_server_and_killed(self):
        site = self.site
        self.begin()
        self.apply()
        site.server.stop()
        # Blocked before the agent ends: what begins while it is away is known by its start.
        site.agent.kill()
        self.run_in(self.prefix)
        site.start_agent()
        [mine] = harness.wait_for("the sight of it", self.shown, LOOK_S)
        site.agent.kill()  # at once: what was shown is in the store
        site.start_agent()
        self.assertEqual([dict(one, last=0) for one in self.shown()], [dict(mine, last=0)])
        site.start_server()
        [row] = self.wait_rows(1)
        self.assertEqual((row["programs"], row["first"]), (1, mine["first"]))

    def test_a_repair_is_told_apart(self):
        """Announced by the command that runs it, and over with it."""
        site = self.site
        self.begin()
        self.apply()
        self.run_in(self.prefix)
        self.assertEqual(self.claim("repair"), "end")
        [mine] = harness.wait_for("the sight of it", self.shown, LOOK_S)
        self.assertEqual((mine["programs"], mine["repairs"]), (0, 1))
        [row] = self.wait_rows(1)
        self.assertEqual((row["programs"], row["repairs"]), (0, 1))
        shown = site.ew("show", self.prefix, "--json").json()["environment"]
        self.assertEqual(shown["ran_after_block"]["times"], 0)
        # It goes on when the repair is over: no repair any more.
        self.assertEqual(self.claim("over"), "end")
        harness.wait_for("the sight of it", lambda: self.shown()[0]["programs"] == 1, LOOK_S)

    def test_tools_at_work_are_told_apart(self):
        self.begin()
        self.apply()
        tool = self.prefix / "bin" / "conda"
        tool.write_text("import time; time.sleep(1000)\n")
        (self.prefix / "bin" / "python3").unlink()
        (self.prefix / "bin" / "python3").symlink_to(sys.executable)
        time.sleep(0.3)
        self.start([self.prefix / "bin" / "python3", tool, "install", "x"])
        [mine] = harness.wait_for("the sight of it", self.shown, LOOK_S)
        self.assertEqual((mine["programs"], mine["repairs"]), (0, 1))

    def test_a_file_of_it_in_an_editor_is_no_run(self):
        self.begin()
        self.apply()
        other = self.create("other")
        self.wait_check(4, other)
        time.sleep(0.3)
        self.start([sys.executable, "-c", "import time; time.sleep(1000)",
                    self.prefix / "bin" / "python3"])
        self.run_in(other)
        harness.wait_for("the sight of the other", lambda: self.shown(other), LOOK_S)
        self.assertEqual(self.shown(), [])

    def claim(self, what, *words, prefix=None, uid=None):
        words = [sys.executable, "-B", FORGE, self.site.socket, what, prefix or self.prefix, *words]
        if uid is not None:
            words = as_account(uid) + words
        return self.site.must("/usr/bin/env", *words).out.strip()


@unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
class TwoUsers(Ran):
    """The machine's agent; what one member says or does about another's environment."""

    # The stories of one user are told above.
    test_on_the_server_once = test_seen_without_a_server_and_killed = None
    test_a_repair_is_told_apart = test_tools_at_work_are_told_apart = None
    test_a_file_of_it_in_an_editor_is_no_run = None

    def setUp(self):
        super().setUp()
        self.open = self.create("open")
        for prefix in (self.prefix, self.open):
            for folder, _, files in os.walk(prefix):
                for path in [folder, *(os.path.join(folder, file) for file in files)]:
                    os.chown(path, ANA, ANA)
        for folder in (self.site.home, self.site.envs.parent, self.site.envs):
            folder.chmod(0o755)
        self.prefix.chmod(0o700)
        self.open.chmod(0o755)
        self.site.agent.words.remove("--user")
        self.site.agent_config.write_text(f"{CONFIG}roots = {self.site.envs}\n")

    def member(self, uid, command, *words):
        return self.site.run("/usr/bin/env", *as_account(uid), harness.BIN / "envwarden", command,
                             "--socket", self.site.socket, *words)

    def active(self, uid, prefix):
        self.assertRun(self.member(uid, "check", "--hook", "--active", "--prefix", prefix,
                                   "--timeout-ms", "5000"), 4)

    def test_each_account_for_itself(self):
        self.begin(self.prefix, self.open)
        self.apply()
        self.run_in(self.prefix, ANA)
        self.run_in(self.open, ANA)
        self.run_in(self.open, BOB)
        rows = self.wait_rows(3)
        self.assertEqual(sorted((row["prefix"], row["uid"], row["programs"]) for row in rows),
                         sorted([(str(self.prefix), ANA, 1), (str(self.open), ANA, 1),
                                 (str(self.open), BOB, 1)]))
        paged, after = [], ""
        while after is not None:
            page = self.site.api(f"/ran-after-block?limit=2{after}")
            paged += page["runs"]
            after = f"&after={urllib.parse.quote(page['next'])}" if "next" in page else None
        self.assertEqual(self.own(paged), rows)

    def test_what_one_says_of_anothers(self):
        self.begin(self.prefix, self.open)
        self.apply()
        # It may not be opened by the other: what he says of it does not count, in whatever way.
        self.active(BOB, self.prefix)
        self.assertEqual(self.claim("active", uid=BOB), "decision")
        self.claim("active", "prove-nothing", uid=BOB)
        self.claim("active", f"prove={self.open}", uid=BOB)
        for what in ("repair", "over"):
            self.assertEqual(self.claim(what, uid=BOB), f"error {NOT_PERMITTED}")
        self.assertEqual(self.shown(), [])
        used = lambda prefix: self.site.ew("show", prefix, "--json").json()["environment"].get(
            "last_used")
        self.assertIsNone(used(self.prefix))
        # He may open this one: it counts, as his; and what its owner does, as hers.
        self.active(BOB, self.open)
        [row] = harness.wait_for("the proof", lambda: self.shown(self.open))
        self.assertEqual((row["uid"], row["shells"]), (BOB, 1))
        self.active(ANA, self.open)
        self.assertEqual({(row["uid"], row["shells"]) for row in self.shown(self.open)},
                         {(ANA, 1), (BOB, 1)})
        for _ in range(5):
            self.active(ANA, self.open)
        self.assertEqual({row["shells"] for row in self.shown(self.open)}, {1})

    def test_a_forged_command_line_is_its_own_accounts(self):
        self.begin(self.prefix, self.open)
        self.apply()
        self.run_in(self.prefix, ANA)  # the program may be read by root alone
        self.start([self.prefix / "bin" / "python3", "1000"], executable="/bin/sleep", user=BOB)
        rows = self.wait_rows(2)
        self.assertEqual({(row["uid"], row["programs"]) for row in rows}, {(ANA, 1), (BOB, 1)})


if __name__ == "__main__":
    harness.main()
