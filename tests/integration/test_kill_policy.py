"""kill -9 of supervisor, core and server, while a policy is pushed every second, exceptions,
statuses and graces come and go, and environments change.

    EW_SEED=N    repeats the choices of a run (its seed is printed)
    EW_KILLS=N   how often something is killed (24)

After each round the agent's decisions are those that follow from what the server then says and what
is on the disk, computed anew here; and those of an agent that begins with nothing but its store.
"""

import datetime
import json
import os
import random
import signal
import threading
import time

import harness

import conda_writer  # beside replay.py: harness says where

KILLS = int(os.environ.get("EW_KILLS") or 24)
SEED = int(os.environ.get("EW_SEED") or random.SystemRandom().randrange(1 << 32))
ROUND = 6  # kills
TARGETS = ("supervisor", "core", "server")
SETTLED_S = 60
PUSH_S = 1.0
DISTS = {"openssl": ("openssl-1.1.1w-h_0", "openssl-3.0.7-h_0"), "foo": ("foo-1.0-0",),
         "libfoo": ("libfoo-1.0-0",), "zstd": ("zstd-1.5.6-hb46c0d2_0",),
         "xz": ("xz-5.2.6-h8d14728_0",)}
ENVIRONMENTS = 6
ORDER = {"allow": 0, "warn": 1, "block": 2}


def rules_text(rules):
    return 'policy: 1\ndefaults: {contact: "it@example.org", defer: 2d}\n' + (
        "rules:\n" if rules else "rules: []\n") + "".join(
            f"  - id: no-{name}\n    when: {{package: {name}}}\n    action: {action}\n"
            for name, action in rules)


def rules_of(text):
    """What rules_text was made of."""
    lines = text.splitlines()
    return [(lines[i].split("no-")[1], lines[i + 2].split()[-1])
            for i in range(len(lines)) if "- id:" in lines[i]]


def installed(prefix):
    return {path.name.rsplit("-", 2)[0] for path in (prefix / "conda-meta").glob("*.json")}


class People(threading.Thread):
    """Administrators and members, who don't know that anything is killed."""

    def __init__(self, test, seed):
        super().__init__(daemon=True)
        self.test, self.site = test, test.site
        self.random = random.Random(seed)
        self.ending = threading.Event()
        self.graces = {}  # prefix -> the case of its newest grace; "?": it may be another
        self.deeds = 0
        self.trouble = None
        self.pushed = 0.0

    def run(self):
        try:
            while not self.ending.is_set():
                if time.monotonic() - self.pushed > PUSH_S:
                    self.pushed = time.monotonic()
                    self.push()
                else:
                    self.random.choice((self.grant, self.revoke, self.status, self.defer,
                                        self.change))()
                self.deeds += 1
                self.ending.wait(self.random.uniform(0.02, 0.2))
        except Exception as error:  # told by the test: a thread's own report gets lost
            self.trouble = error

    def end(self):
        self.ending.set()
        self.join(harness.PATIENCE_S)
        if self.trouble:
            raise self.trouble

    def ask(self, path, body=None, method=None):
        try:
            return self.site.api(path, body, method)
        except (harness.Failed, OSError, ValueError):
            return None  # killed just now: done or not, the server will know

    def prefix(self):
        return self.random.choice(self.test.prefixes)

    def push(self):
        names = self.random.sample(list(DISTS), self.random.randrange(4))
        self.ask("/policy", {"source": rules_text(
            [(name, self.random.choice(("warn", "block"))) for name in names])})

    def grant(self):
        env = self.test.ids[self.prefix()]
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
        self.ask("/exceptions", {"environment": env, "reason": "so",
                                 "rule": f"no-{self.random.choice(list(DISTS))}",
                                 "expires": until.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def revoke(self):
        known = self.ask("/exceptions") or {"exceptions": []}
        living = [x for x in known["exceptions"] if "revoked" not in x]
        if living:
            self.ask(f"/exceptions/{self.random.choice(living)['id']}/revoke", {}, "POST")

    def status(self):
        action = self.random.choice(("ok", "ok", "warn", "block"))
        self.ask(f"/environments/{self.test.ids[self.prefix()]}/status",
                 {"status": action} if action == "ok" else {"status": action, "message": "no"},
                 "PUT")

    def defer(self):
        prefix = self.prefix()
        told = self.site.ew("defer", prefix, "--json")
        if told.code == 0:
            self.graces[prefix] = json.loads(told.out)["case"]
        elif told.code != 7:
            self.graces[prefix] = "?"

    def change(self):
        prefix = self.prefix()
        name = self.random.choice(list(DISTS))
        gone = [path.name[:-5] for path in (prefix / "conda-meta").glob(f"{name}-[0-9]*.json")]
        if gone:
            self.test.writer.change(prefix, gone, [], f"remove -p {prefix} {name}")
        else:
            self.test.writer.change(prefix, [], [self.random.choice(DISTS[name])],
                                    f"install -p {prefix} {name}")


class KillPolicy(harness.Case):
    def setUp(self):
        super().setUp()
        print(f"seed {SEED}, {KILLS} kills", flush=True)
        self.random = random.Random(SEED)
        site = self.site
        self.writer = conda_writer.Writer(site.home, pace_s=0.001)
        self.prefixes = [site.envs / f"k{i}" for i in range(ENVIRONMENTS)]
        for i, prefix in enumerate(self.prefixes):
            names = list(DISTS)
            self.writer.create(prefix, [DISTS[names[i % 5]][0], DISTS[names[(i + 2) % 5]][0]])
        site.start_everything()
        site.wait_server("all of them", lambda changes: len(changes) >= ENVIRONMENTS)
        self.ids = {self.site.envs / env["prefix"].rsplit("/", 1)[1]: env["id"]
                    for env in site.api("/environments")["environments"]}

    # --- killing

    def kill(self, target):
        site = self.site
        if target == "server":
            site.server.kill()
            site.ready_file.unlink(missing_ok=True)
            site.server.start()
        elif target == "supervisor":
            site.agent.kill()
            site.agent.start()
        else:
            pid = harness.wait_for(f"a {target}", lambda: site.worker(target))
            os.kill(pid, signal.SIGKILL)

    # --- what must hold

    def expected(self):
        """{prefix: (action, of statuses alone)} as of what the server says and the disk has."""
        site, out = self.site, {}
        policy = site.api("/policy")
        rules = rules_of(policy["source"]) if "source" in policy else []
        lifted = {(x["environment"], x["rule"]) for x in site.api("/exceptions?limit=1000")[
            "exceptions"] if "revoked" not in x}
        statuses = {env["id"]: env["status"] for env in site.api("/environments")["environments"]}
        for prefix in self.prefixes:
            env, has = self.ids[prefix], installed(prefix)
            by_rules = max((ORDER[action] for name, action in rules
                            if name in has and (env, f"no-{name}") not in lifted), default=0)
            out[prefix] = (by_rules, ORDER.get(statuses[env], 0))
        return out

    def decisions(self):
        found = {}
        for prefix in self.prefixes:
            told = self.site.ew("check", "--prefix", prefix, "--json", "--timeout-ms", "5000")
            self.assertIn(told.code, (0, 4), told)
            answer = json.loads(told.out)
            found[prefix] = (ORDER[answer["decision"]], answer.get("case", ""), answer["source"])
        return found

    def differences(self, graces):
        expected, found = self.expected(), self.decisions()
        wrong = []
        for prefix, (by_rules, status) in expected.items():
            action, case, source = found[prefix]
            right = {max(by_rules, status)}
            grace = graces.get(prefix)
            if by_rules == 2 and status < 2 and grace is not None and grace in ("?", case):
                right = {1} if grace == case else {1, 2}
            if action not in right or source != "agent":
                wrong.append((str(prefix), action, right, case, source, sorted(installed(prefix)),
                              grace))
        return wrong

    def quiet(self, graces):
        site = self.site
        harness.wait_for("the server", lambda: site.server.expect_running()
                         and site.ready_file.exists())
        harness.wait_for("the agent", lambda: site.agent.expect_running() and site.status())
        harness.wait_for("the reader", lambda: site.ew("record", "--all").code == 0)

        def in_step():
            status = site.status()
            policy = site.api("/policy/versions")["policies"]
            newest = policy[0]["version"] if policy else 0
            if not (status["connected"] and status["policy_version"] == newest and
                    status["journal"]["acked"] == status["journal"]["head"]):
                raise harness.Failed(f"{newest}: {status}")
            wrong = self.differences(graces)
            if wrong:
                raise harness.Failed(f"{wrong}, {site.api('/policy')}")
            return True
        harness.wait_for("the decisions that follow", in_step, SETTLED_S)
        self.assertEqual([], [line for line in site.status()["degraded"] if line["what"] in (
            "signed state refused", "store")])

    def from_the_store_alone(self):
        """An agent that begins now, without its server, decides the same."""
        site = self.site
        before = {prefix: told[:2] for prefix, told in self.decisions().items()}
        site.server.stop()
        site.agent.kill()
        site.start_agent()

        def same():
            now = {prefix: told[:2] for prefix, told in self.decisions().items()}
            if now != before:
                raise harness.Failed(f"{now}, not {before}")
            return True
        harness.wait_for("the same decisions", same)
        site.start_server()

    def test_decisions_follow(self):
        site = self.site
        graces, deeds = {}, 0
        for begin in range(0, KILLS, ROUND):
            people = People(self, self.random.randrange(1 << 32))
            people.graces = graces
            people.start()
            for _ in range(min(ROUND, KILLS - begin)):
                time.sleep(self.random.uniform(0.05, 1.5))  # the random instant
                self.kill(self.random.choice(TARGETS))
            time.sleep(self.random.uniform(0.05, 1.0))
            people.end()
            deeds += people.deeds
            self.quiet(graces)
            self.from_the_store_alone()
        versions = site.api("/policy/versions")["policies"][0]["version"]
        print(f"{deeds} deeds, {versions} policies, {len(graces)} graces", flush=True)
        self.assertGreater(versions, KILLS // 4, "too few policies to have proved anything")


if __name__ == "__main__":
    harness.main()
