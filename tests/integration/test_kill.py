"""kill -9 of supervisor, core, reader and server at random instants, while environments change.

    EW_SEED=N    repeats the choices of a run (its seed is printed)
    EW_KILLS=N   how often something is killed (52)

Nothing that was told once may be lost, nothing doubled, and in the end journal, server and disk
agree.
"""

import os
import random
import signal
import threading
import time

import harness

import conda_writer  # beside replay.py: harness says where

KILLS = int(os.environ.get("EW_KILLS") or 52)
SEED = int(os.environ.get("EW_SEED") or random.SystemRandom().randrange(1 << 32))
TARGETS = ("supervisor", "core", "reader", "server")
# The supervisor waits longer after each death of a child; a new one is patient again.
OTHERS_IN_A_ROW = 4
QUIET_S = 120
ENVIRONMENTS = 5
# Packages to change, each in one version at a time.
PACKAGES = {
    "openssl": ("openssl-1.1.1w-h_0", "openssl-3.0.7-h_0", "openssl-3.0.14-h_0"),
    "foo": ("foo-1.0-0",),
    "libfoo": ("libfoo-1.0-0",),
    "zstd": ("zstd-1.5.6-hb46c0d2_0",),
    "requests": ("requests-2.28.2-pyhd8ed1ab_0",),
    "xz": ("xz-5.2.6-h8d14728_0",),
}


def on_disk(prefix):
    """The packages of a prefix as its records name them."""
    return {path.name[:-len(".json")] for path in (prefix / "conda-meta").glob("*.json")}


def identity(package):
    return f"{package['name']}-{package['version']}-{package['build']}"


class Workload(threading.Thread):
    """Creates, changes, moves and removes environments until told to stop."""

    def __init__(self, site, seed):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.folder = site.envs
        self.writer = conda_writer.Writer(site.home, pace_s=0.001)
        self.ending = threading.Event()
        self.steps = 0
        self.trouble = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.step(self.folder / f"k{self.random.randrange(ENVIRONMENTS)}")
                self.steps += 1
                self.ending.wait(self.random.uniform(0.02, 0.15))
        except Exception as error:  # told by the test: a thread's own report gets lost
            self.trouble = error

    def step(self, prefix):
        if not prefix.exists():
            self.writer.create(prefix, [self.random.choice(dists) for dists in
                                        self.random.sample(list(PACKAGES.values()), 3)])
        elif self.random.random() < 0.12:
            self.writer.remove_all(prefix)
        elif self.random.random() < 0.08:
            self.move(prefix)
        else:
            self.change(prefix)

    def move(self, prefix):
        other = self.folder / f"k{self.random.randrange(ENVIRONMENTS)}"
        if not other.exists():
            prefix.rename(other)
            self.writer.register(other)

    def change(self, prefix):
        dists = PACKAGES[self.random.choice(list(PACKAGES))]
        installed = on_disk(prefix) & set(dists)
        plus = [self.random.choice(dists)] if self.random.random() < 0.7 else []
        minus = [dist for dist in installed if dist not in plus]
        plus = [dist for dist in plus if dist not in installed]
        if minus or plus:
            self.writer.change(prefix, minus, plus, f"install -y -p {prefix} {' '.join(plus)}")

    def end(self):
        self.ending.set()
        self.join(harness.PATIENCE_S)
        if self.trouble:
            raise self.trouble


class Kill(harness.Case):
    def setUp(self):
        super().setUp()
        print(f"seed {SEED}, {KILLS} kills", flush=True)
        self.random = random.Random(SEED)
        self.seen_at_agent, self.seen_at_server = {}, {}
        self.killed = dict.fromkeys(TARGETS, 0)

    # --- killing

    def kill(self, target):
        site = self.site
        if target == "server":
            site.server.kill()
            site.ready_file.unlink(missing_ok=True)
            site.server.start()
        elif target == "supervisor":
            self.kill_supervisor()
        else:
            pid = harness.wait_for(f"a {target}", lambda: site.worker(target))
            os.kill(pid, signal.SIGKILL)
        self.killed[target] += 1

    def kill_supervisor(self):
        """And starts it again at once; the children of the old one end by themselves meanwhile."""
        site = self.site
        family = [(pid, harness.start_ticks(pid)) for pid in harness.children(site.agent.pid)]
        site.agent.process.kill()
        site.agent.process.wait()
        site.agent.start()
        for pid, ticks in family:
            harness.wait_for(f"process {pid} to end with its supervisor", lambda: ticks is None
                             or harness.start_ticks(pid) != ticks)

    def choose(self, others):
        return "supervisor" if others >= OTHERS_IN_A_ROW else self.random.choice(TARGETS)

    # --- what was told stays told

    def note(self):
        """Remembers what agent and server tell now, if they answer."""
        for seen, ask in ((self.seen_at_agent, self.site.agent_changes),
                          (self.seen_at_server, self.site.server_changes)):
            try:
                told = ask()
            except harness.Failed:
                continue  # not there just now
            for change in told:
                self.assertEqual(seen.setdefault(change["seq"], change), change)

    # --- what must hold at the end

    def follow(self, changes):
        """What the journal leads to, each change fitting to those before: {id: (prefix, set)}."""
        living = {}
        for change in changes:
            env, kind = change["environment"]["id"], change["kind"]
            added = {identity(p) for p in change["added"]}
            removed = {identity(p) for p in change["removed"]}
            before = living.get(env, (None, set()))[1]
            if kind != "recreated":  # its end is told apart only if somebody looked meanwhile
                self.assertEqual(env in living, kind not in ("created", "cloned"), change)
            self.assertFalse(added & before, change)
            self.assertLessEqual(removed, before, change)
            after = (before - removed) | added
            if kind == "deleted":
                self.assertEqual(removed, before, change)
                del living[env]
                continue
            if kind in ("installed", "removed", "updated"):
                self.assertTrue(added or removed, change)
            living[env] = (change["environment"]["prefix"], after)
        return living

    def check_journal(self, changes):
        self.assertEqual([c["seq"] for c in changes], list(range(1, len(changes) + 1)))
        disk = {str(path): on_disk(path) for path in self.site.envs.iterdir()
                if (path / "conda-meta" / "history").exists()}
        living = self.follow(changes)
        self.assertEqual({prefix: packages for prefix, packages in living.values()}, disk)
        self.assertEqual(len(living), len(disk))
        return living

    def check_server(self, changes, living):
        at_server = self.site.server_changes()
        told = [{key: found.get(key) for key in ours} for ours, found in zip(changes, at_server)]
        self.assertEqual(told, changes)
        self.assertEqual(len(at_server), len(changes))
        envs = self.site.api("/environments?limit=1000")["environments"]
        self.assertEqual({e["id"]: e["prefix"] for e in envs if not e["deleted"]},
                         {env: prefix for env, (prefix, _) in living.items()})
        for env, (_, packages) in living.items():
            stored = self.site.api(f"/environments/{env}/packages")["packages"]
            self.assertEqual({identity(p) for p in stored}, packages)
        self.assertEqual(len(self.site.api("/machines")["machines"]), 1)

    def quiet(self):
        """Until everybody is there and everything on disk is at the server."""
        site = self.site
        harness.wait_for("the server", lambda: site.server.expect_running()
                         and site.ready_file.exists())
        harness.wait_for("the agent", lambda: site.agent.expect_running() and site.status())
        harness.wait_for("the reader", lambda: site.ew("record", "--all").code == 0)

        def delivered():
            status = site.status()
            journal = status and status["journal"]
            if journal and status["connected"] and journal["acked"] == journal["head"]:
                return True
            raise harness.Failed(f"{status}")
        harness.wait_for("the journal to be delivered", delivered, QUIET_S)

    def test_nothing_lost_nothing_doubled(self):
        site = self.site
        site.start_everything()
        work = Workload(site, SEED)
        work.start()
        others = 0
        for i in range(KILLS):
            time.sleep(self.random.uniform(0.02, 0.9))  # the random instant
            target = self.choose(others)
            others = 0 if target == "supervisor" else others + 1
            self.kill(target)
            if i % 5 == 4:
                self.note()
        work.end()
        self.quiet()
        self.note()
        changes = site.agent_changes()
        print(f"{self.killed}, {work.steps} steps, {len(changes)} changes", flush=True)
        self.check_server(changes, self.check_journal(changes))
        for seen, now in ((self.seen_at_agent, changes),
                          (self.seen_at_server, site.server_changes())):
            self.assertEqual(list(seen.values()), now[:len(seen)])
        self.assertGreater(len(changes), KILLS // 2, "too few changes to have proved anything")


if __name__ == "__main__":
    harness.main()
