"""Whatever conda, mamba, pixi, pip, uv and people do, and however it is cut short: the agent ends up
with what is on the disk, and its journal leads there.

    test_property.py [--seeds N,N,...] [--random N] [--steps N] [--quick]

Two properties, each with seeds of its own:
  one at a time   each run, with quiet before and after, is exactly the change it is
  all at once     runs interleave, are killed and interrupted, the agent is killed and started again
A run prints its seed; --seeds repeats it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import sys
import threading
import time

import harness

import tool_runs  # beside replay.py: harness says where
from tool_runs import SITE_PACKAGES, SLOW, Interrupted

SETTLE_MS = 100
# A writer that was kept waiting for longer at a place where no tool waits has shown two states.
TORN_S = 0.06
QUIET_S = 90  # the longest wait for what may still come is a minute, for the source of a rename
FIXED_SEEDS = (1, 2)

POOL = {
    "openssl": ("openssl-1.1.1w-h_0", "openssl-3.0.7-h_0", "openssl-3.0.14-h_0"),
    "foo": ("foo-1.0-0",),
    "libfoo": ("libfoo-1.0-0",),
    "zstd": ("zstd-1.5.6-hb46c0d2_0",),
    "xz": ("xz-5.2.6-h8d14728_0",),
    "bzip2": ("bzip2-1.0.8-h93a5062_5",),
}
PYTHON = "python-3.11.9-h_0"
WHEELS = ("demo_pkg", "other")


def identity(package):
    if package["manager"] != "conda":
        return f"{package['manager']}:{package['name']}-{package['version']}"
    return f"{package['name']}-{package['version']}-{package['build']}"


def wheels_of(prefix):
    """As pip counts them. Two runs in each other's way can leave a RECORD alone: no distribution."""
    site = prefix / SITE_PACKAGES
    found = set()
    for folder in site.glob("*.dist-info") if site.is_dir() else ():
        whole = all((folder / part).exists() for part in ("METADATA", "RECORD"))
        if whole and not folder.name.startswith("~"):
            name, version = folder.name[:-len(".dist-info")].split("-")
            found.add(f"pypi:{name.replace('_', '-')}-{version}")
    return found


def packages_of(prefix):
    """What is installed, None if it is no environment."""
    meta = prefix / "conda-meta"
    names = os.listdir(meta) if meta.is_dir() else []
    if "history" not in names and not any(name.endswith(".json") for name in names):
        return None
    found = set()
    for name in names:
        if name.endswith(".json"):
            with contextlib.suppress(ValueError):
                json.loads((meta / name).read_bytes())
                found.add(name[:-len(".json")])
    return found | (wheels_of(prefix) if PYTHON in found else set())


def follow(changes):
    """What a journal leads to, each change fitting to those before: {id: (prefix, packages)}."""
    living, dead = {}, set()
    for change in changes:
        env, kind = change["environment"]["id"], change["kind"]
        added = {identity(p) for p in change["added"]}
        removed = {identity(p) for p in change["removed"]}
        before = living.get(env, (None, set()))[1]
        why = f"{kind} of {env} does not fit: {change}"
        if kind in ("created", "cloned"):
            assert env not in living and env not in dead, why
        elif kind != "recreated" and not (kind == "renamed" and env in dead):
            assert env in living, why
        assert not added & before and removed <= before, why
        if kind in ("installed", "updated", "removed"):
            assert added or removed, why
        if kind == "deleted":
            assert removed == before, why
            del living[env]
            dead.add(env)
            continue
        living[env] = (change["environment"]["prefix"], (before - removed) | added)
    prefixes = [prefix for prefix, _ in living.values()]
    assert len(set(prefixes)) == len(prefixes), f"living twice: {sorted(prefixes)}"
    return living


class World:
    """The environments of one account, an agent that watches, and the means to change them."""

    def __init__(self, site, seed):
        self.site, self.random = site, random.Random(seed)
        self.work = site.home / "work"
        self.folders = [self.work / "envs"]
        self.pixi = site.home / ".pixi" / "envs"
        self.work.mkdir()
        self.folders[0].mkdir()
        self.pixi.mkdir(parents=True)
        self.tools = tool_runs.Tools(site.home, site.dir / "scratch")
        site.agent_config.write_text(f"running = off\nsettle_ms = {SETTLE_MS}\nroots = {self.work}\n")
        self.history = []

    def prefixes(self):
        folders = [*(x for x in self.work.iterdir() if x.is_dir()), self.pixi]
        return sorted(x for folder in folders for x in folder.iterdir())

    def disk(self):
        found = {str(x): packages_of(x) for x in self.prefixes()}
        return {prefix: packages for prefix, packages in found.items() if packages is not None}

    def journal(self):
        result = self.site.ew("history", "--json")
        if result.code != 0:
            raise harness.Failed(repr(result))
        return result.json()["changes"]

    def settled(self):
        """The journal, when it leads to what is on the disk."""
        changes = self.journal()
        living = follow(changes)
        seen = {prefix: packages for prefix, packages in living.values()}
        disk = self.disk()
        if seen != disk:
            raise harness.Failed("\n".join(f"{x}: on disk {disk.get(x)}, seen {seen.get(x)}"
                                           for x in sorted({*disk, *seen})
                                           if disk.get(x) != seen.get(x)))
        return changes or True

    def wait_settled(self):
        changes = harness.wait_for("the agent to know what is on the disk", self.settled, QUIET_S)
        return [] if changes is True else changes

    def pick(self, n):
        names = self.random.sample(sorted(POOL), n)
        return [self.random.choice(POOL[name]) for name in names]

    def choose(self, condition):
        found = [x for x in self.prefixes() if condition(x)]
        return self.random.choice(found) if found else None

    def free(self, folder):
        """A path where nothing is, used before or not."""
        names = [x for x in range(6) if not (folder / f"e{x}").exists()]
        return folder / f"e{self.random.choice(names)}" if names else None


def is_environment(prefix):
    return packages_of(prefix) is not None


def is_pixi(prefix):
    return ".pixi" in prefix.parts


def has_python(prefix):
    return (is_environment(prefix) and PYTHON in packages_of(prefix)
            and (prefix / SITE_PACKAGES).is_dir())


def is_conda(prefix):
    return is_environment(prefix) and not is_pixi(prefix)


# --- what may be done -----------------------------------------------------------------------------


class Run:
    """One run: its steps, where, and what it must lead to. kinds: of the changes, in any order."""

    def __init__(self, name, steps, at, kinds, tool="", words="", **more):
        self.name, self.steps, self.at, self.kinds = name, steps, at, kinds
        self.tool, self.words, self.source = tool, words, more.pop("source", None)
        self.how = more.pop("how", None)
        self.more = more

    def __repr__(self):
        return f"{self.name} {self.at}" + (f" from {self.source}" if self.source else "")


CONDA = {"tool": "conda", "how": "owner of history"}


def run_create(w):
    at = w.free(w.random.choice(w.folders))
    dists = w.pick(w.random.randrange(4)) + ([PYTHON] if w.random.random() < 0.5 else [])
    if at is None:
        return None
    if w.random.random() < 0.6:
        return Run("conda create", w.tools.conda_create(at, dists, w.random.random() < 0.5), at,
                   ["new"], words=f"create -y -p {at}", **CONDA)
    program = w.random.choice(("mamba", "micromamba"))
    words = f"{program} create -y -p {at}" if dists else ""
    return Run(f"{program} create", w.tools.mamba_create(at, dists, program), at, ["new"],
               program if dists else "", words, how="owner of history" if dists else None)


def run_install(w):
    at = w.choose(is_conda)
    if at is None:
        return None
    dists = w.pick(w.random.randrange(1, 3))
    if w.random.random() < 0.15:
        dists.append(PYTHON)
    nothing = set(dists) <= packages_of(at)
    kinds = [] if nothing else ["step"]
    if nothing:
        return Run("conda probe", w.tools.conda_probe(at), at, [])
    if w.random.random() < 0.6:
        return Run("conda install", w.tools.conda_install(at, dists, rewrites=w.random.random() < 0.5),
                   at, kinds, words=f"install -y -p {at}", **CONDA)
    program = w.random.choice(("mamba", "micromamba"))
    return Run(f"{program} install", w.tools.mamba_install(at, dists, program), at, kinds, program,
               f"{program} install -y -p {at}", how="owner of history")


def run_failure(w):
    at = w.choose(is_conda)
    if at is None:
        return None
    if w.random.random() < 0.6:
        return Run("late failure", w.tools.conda_install(at, w.pick(2), late_failure=True), at, [])
    return Run("mamba failure", w.tools.mamba_install(at, w.pick(2), fails=True), at, [])


def run_remove(w):
    at = w.choose(lambda x: is_conda(x) and tool_runs.records(x))
    if at is None:
        return None
    dists = [w.random.choice(tool_runs.records(at))]
    if w.random.random() < 0.6:
        return Run("conda remove", w.tools.conda_remove(at, dists), at, ["step"],
                   words=f"remove -y -p {at}", **CONDA)
    return Run("mamba remove", w.tools.mamba_remove(at, dists, "mamba"), at, ["step"], "mamba",
               f"mamba remove -y -p {at}", how="owner of history")


def run_list(w):
    at = w.choose(lambda x: is_conda(x) and tool_runs.records(x))
    if at is None:
        return None
    dist = w.random.choice(tool_runs.records(at))
    return Run("conda list", w.tools.conda_list(at, dist), at, ["step"])


def run_vars(w):
    at = w.choose(is_environment)
    if at is None:
        return None
    if w.random.random() < 0.5:
        return Run("config vars", w.tools.conda_vars(at, w.random.random()), at, ["config"])
    name = w.random.choice(("pinned", "frozen"))
    text = None if (at / "conda-meta" / name).exists() else f"# {w.random.random()}\n"
    return Run(f"{name} {'written' if text else 'removed'}", w.tools.config(at, name, text), at,
               ["config"])


def run_clone(w):
    source, at = w.choose(is_conda), w.free(w.random.choice(w.folders))
    if source is None or at is None:
        return None
    return Run("conda clone", w.tools.conda_clone(source, at), at, ["clone"], source=source,
               words=f"create -y -p {at} --clone {source}", **CONDA)


def run_rename(w):
    source, at = w.choose(is_conda), w.free(w.random.choice(w.folders))
    if source is None or at is None:
        return None
    if w.random.random() < 0.3:
        at = w.choose(lambda x: is_conda(x) and x != source) or at
    force = at.exists()
    return Run("conda rename --yes" if force else "conda rename",
               w.tools.conda_rename(source, at, force), at,
               ["renamed", "displaced"] if force else ["renamed"], source=source, words="rename",
               **CONDA)


def run_delete(w):
    at = w.choose(is_environment)
    if at is None:
        return None
    ways = [("rm -rf", w.tools.remove, "", "")]
    if is_conda(at):
        ways += [("remove --all", w.tools.conda_remove_all, "conda", "--all"),
                 ("conda env remove", w.tools.conda_env_remove, "conda", "env remove"),
                 ("mamba env remove", w.tools.mamba_env_remove, "micromamba", "env remove")]
    name, steps, tool, words = w.random.choice(ways)
    return Run(name, steps(at), at, ["deleted"], tool, words)


def run_move(w):
    source = w.choose(is_environment)
    at = w.free(source.parent) if source else None
    if at is None:
        return None
    return Run("mv", w.tools.move(source, at), at, ["renamed"], source=source, how="owner of prefix")


def run_move_parent(w):
    folder = w.folders[0]
    to = w.work / ("envs" if folder.name != "envs" else "moved")

    def steps():
        w.folders[0] = to  # first: the run may end at any step
        yield from w.tools.move(folder, to)
    n = len([x for x in folder.iterdir() if is_environment(x)])
    return Run("mv of the folder", steps(), to, ["renamed"] * n, source=folder)


def names(source, at):
    """A copy of a copy, to where the first one was made: its history then says how it was made."""
    history = source / "conda-meta/history"
    return history.is_file() and str(at) in history.read_text(errors="replace")


def run_copy(w):
    source = w.choose(is_environment)
    at = w.free(source.parent) if source else None
    if at is None or names(source, at):
        return None
    name, times = w.random.choice((("cp -a", True), ("unpacked", False)))
    # A copy of pixi's carries the marks of pixi.
    return Run(name, w.tools.copy(source, at, times), at, ["new"],
               "pixi" if is_pixi(at) else "")


def run_pixi(w):
    there = [x for x in w.pixi.iterdir() if (x / "conda-meta").is_dir()]
    at = w.random.choice(there + [w.pixi / f"e{w.random.randrange(6)}"])
    dists = w.pick(w.random.randrange(1, 4))
    wheels = []
    if w.random.random() < 0.5:
        dists.append(PYTHON)
        wheels = [("demo_pkg", f"{w.random.randrange(3)}.0")]
    if not at.exists():
        kinds = ["new"]
    else:
        after = set(dists) | ({f"pypi:demo-pkg-{wheels[0][1]}"} if wheels else set())
        before = packages_of(at)
        if PYTHON in dists and before is not None:
            after |= {x for x in wheels_of(at) if not (wheels and x.startswith("pypi:demo-pkg-"))}
        kinds = ["step"] if before != after else []
    return Run("pixi install", w.tools.pixi_install(at, dists, wheels), at, kinds, "pixi",
               how="owner of prefix")


def run_pip(w):
    at = w.choose(has_python)
    if at is None:
        return None
    name, version = w.random.choice(WHEELS), f"{w.random.randrange(3)}.0"
    label = name.replace("_", "-")
    present = [x for x in wheels_of(at) if x.startswith(f"pypi:{label}-")]
    kinds = [] if present == [f"pypi:{label}-{version}"] else ["step"]
    what = w.random.random()
    how = "owner of newest dist-info"
    if what < 0.3 and present:
        return Run("pip uninstall", w.tools.pip_uninstall(at, name), at, ["step"])
    if what < 0.6:
        return Run("uv install", w.tools.uv_install(at, name, version), at, kinds, "uv", how=how)
    return Run("pip install", w.tools.pip_install(at, name, version, what > 0.9), at, kinds, "pip",
               how=how)


RUNS = {run_create: 5, run_install: 4, run_failure: 2, run_remove: 2, run_list: 1, run_vars: 2,
        run_clone: 2, run_rename: 3, run_delete: 3, run_move: 2, run_move_parent: 1, run_copy: 2,
        run_pixi: 3, run_pip: 4}


def choose_run(w):
    while True:
        run = w.random.choices(list(RUNS), list(RUNS.values()))[0](w)
        if run is not None:
            return run


# --- one at a time --------------------------------------------------------------------------------


class OneAtATime:
    def __init__(self, world):
        self.w = world
        self.changes = []
        self.ghosts = {}  # path -> id of what was deleted there last
        self.torn = 0
        self.exact = 0
        self.ends = self.known_ends = 0  # removals, and those told with their command

    def do(self, run):
        """All its steps; True if no step took so long that two states could be seen."""
        torn, before = False, time.monotonic()
        for step in run.steps:
            torn |= time.monotonic() - before > TORN_S
            if step == SLOW:
                if self.w.random.random() < 0.3:
                    time.sleep(self.w.random.uniform(0, 4) * SETTLE_MS / 1000)
            elif self.w.random.random() < 0.1:
                time.sleep(0.001)
            before = time.monotonic()
        return not torn

    def ids(self):
        return {prefix: env for env, (prefix, _) in follow(self.changes).items()}

    def step(self, run):
        ids, disk = self.ids(), self.w.disk()
        whole = self.do(run)
        self.w.wait_settled()
        # Read again: what was told is what there is, and nothing comes after.
        harness.wait_for("a reading", lambda: self.w.site.ew("record", "--all").code == 0)
        changes = self.w.wait_settled()
        new = changes[len(self.changes):]
        self.changes = changes
        if run.kinds == ["config"] and not new:
            raise AssertionError(f"{run}: not told")
        if whole:
            self.exact += 1
            self.expect(run, new, ids, disk)
        else:
            self.torn += 1
        self.remember(new)

    def remember(self, new):
        for change in new:
            env, prefix = change["environment"]["id"], change["environment"]["prefix"]
            if change["kind"] == "deleted":
                self.ghosts[prefix] = env
            else:
                self.ghosts.pop(prefix, None)

    def expect(self, run, new, ids, disk):
        said = [(c["kind"], c["environment"]["prefix"]) for c in new]
        why = f"{run}: {json.dumps(new, indent=1)}"
        kinds = list(run.kinds)
        ghost = self.ghosts.get(str(run.at))
        if "displaced" in kinds:
            kinds.remove("displaced")
            kinds.append("deleted")
        if kinds == ["new"]:
            kinds = ["recreated" if ghost else "created"]
        if kinds == ["clone"]:
            kinds = ["recreated" if ghost else "cloned"]
        if kinds == ["step"]:
            assert len(new) == 1 and new[0]["kind"] in ("installed", "removed", "updated"), why
        else:
            assert sorted(kind for kind, _ in said) == sorted(kinds), why
        for change in new:
            self.expect_one(run, change, ids, ghost, why)

    def expect_one(self, run, change, ids, ghost, why):
        env, prefix = change["environment"]["id"], change["environment"]["prefix"]
        kind = change["kind"]
        actor = change.get("actor", {})
        assert not change.get("seen_at_start"), why
        if kind == "deleted":
            assert env == ids[prefix], why
            # A removal that is over before the agent can open history leaves no trace.
            self.ends += bool(run.words) and run.kinds == ["deleted"]
            if run.kinds == ["deleted"] and change.get("command"):
                self.known_ends += 1
                assert run.words and run.words in change["command"], why
                assert change["tool"] == run.tool and actor["how"] == "owner of history", why
            else:
                assert "command" not in change and "tool" not in change and not actor, why
            return
        if kind == "renamed":
            assert env == ids[change["from_prefix"]], why
            if run.source.name == pathlib.Path(change["from_prefix"]).name:
                assert change["from_prefix"] == str(run.source) or run.at.name in prefix, why
        elif kind in ("created", "cloned"):
            assert env not in ids.values(), why
        elif kind == "recreated":
            assert env == ghost, why
        else:
            assert env == ids[prefix], why
        if kind == "cloned":
            assert change["cloned_from"] == ids[str(run.source)], why
        assert change.get("tool", "") == run.tool, why
        assert run.words in change.get("command", "") and bool(run.words) == bool(
            change.get("command")), why
        assert run.how is None or actor.get("how") == run.how, why


# --- all at once ----------------------------------------------------------------------------------


class AllAtOnce:
    def __init__(self, world):
        self.w = world
        self.active = []
        self.log = []
        self.kills = 0
        self.agent = None  # the thread that starts it again
        self.trouble = None

    def start(self):
        run = choose_run(self.w)
        if run.name == "mv of the folder" and self.active:
            return
        self.log.append(f"start {run}")
        self.active.append(run)

    def end(self, run, how):
        self.log.append(f"{how} {run}")
        self.active.remove(run)

    def step(self, run):
        what = self.w.random.random()
        try:
            if what < 0.004:
                run.steps.close()
                self.end(run, "killed")
            elif what < 0.008:
                with contextlib.suppress(Interrupted):
                    run.steps.throw(Interrupted())
                    return
                self.end(run, "interrupted")
            else:
                next(run.steps)
        except StopIteration:
            self.end(run, "done")
        except OSError as error:  # another run was in its way
            self.end(run, f"failed ({error})")

    def restart_agent(self):
        try:
            self.w.site.agent.kill()
            time.sleep(self.pause)
            self.w.site.start_agent()
        except harness.Failed as error:
            self.trouble = error

    def crash(self):
        if self.agent is not None and self.agent.is_alive():
            return
        self.kills += 1
        self.log.append("agent killed")
        self.pause = self.w.random.uniform(0, 0.5)
        self.agent = threading.Thread(target=self.restart_agent)
        self.agent.start()

    def go(self, steps):
        random_ = self.w.random
        for _ in range(steps):
            if len(self.active) < 4 and random_.random() < 0.1:
                self.start()
            if self.active:
                self.step(random_.choice(self.active))
            if random_.random() < 0.02:
                time.sleep(random_.uniform(0, 3) * SETTLE_MS / 1000)
            if random_.random() < 1.5 / steps:
                self.crash()
        while self.active:
            self.step(self.active[0])
        if self.agent is not None:
            self.agent.join()
        if self.trouble:
            raise self.trouble
        self.tidy()

    def tidy(self):
        """What somebody does after a crash: dead runs leave marks that count for ten minutes."""
        for prefix in self.w.prefixes():
            meta = prefix / "conda-meta"
            shutil.rmtree(prefix / ".condatmp", ignore_errors=True)
            for path in list(meta.glob("*.c~")) + [meta / "conda-meta.lock"]:
                path.unlink(missing_ok=True)
            fingerprint = meta / ".pixi-environment-fingerprint"
            if fingerprint.exists():
                fingerprint.write_text("0123456789abcdef")
                (meta / "pixi").write_text("{}")
            site = prefix / SITE_PACKAGES
            for folder in site.glob("*.dist-info") if site.is_dir() else ():
                if folder.name.startswith("~") or not (folder / "RECORD").exists():
                    shutil.rmtree(folder)
            history = meta / "history"
            if ARGS.quick and history.exists() and b" rename " in history.read_bytes():
                # A new rename waits for a minute for its source to go; this one is older.
                history.write_bytes(history.read_bytes())
                before_ns = time.time_ns() - 120 * 10**9
                os.utime(history, ns=(before_ns, before_ns))


def snapshots(site, program):
    """What `list` and `show` tell, times and ids aside."""
    socket = site.socket if program == "agent" else site.dir / "fresh.sock"
    listed = site.environments(socket=socket)
    found = {}
    for env in listed:
        shown = site.run("envwarden", "show", env["prefix"], "--json", "--socket", socket).json()
        for key in ("id", "created", "last_change", "last_used"):
            shown["environment"].pop(key, None)
        found[env["prefix"]] = {"environment": shown["environment"], "packages": shown["packages"]}
    assert len(found) == len(listed), listed
    return found


class Property(harness.Case):
    steps = 0

    def new_world(self, seed):
        site = self.new_site()
        world = World(site, seed)
        site.start_agent()
        return world

    def fresh_agent_agrees(self, w):
        site = w.site
        fresh = harness.Program(site, "fresh", [
            harness.BIN / "envwardend", "--user", "--foreground", "--config", site.agent_config,
            "--state-dir", site.dir / "fresh", "--socket", site.dir / "fresh.sock"])
        fresh.start()
        try:
            def agree():
                ours, theirs = snapshots(site, "agent"), snapshots(site, "fresh")
                if ours != theirs:
                    differ = [x for x in {*ours, *theirs} if ours.get(x) != theirs.get(x)]
                    raise harness.Failed("\n".join(f"{x}:\n ours {ours.get(x)}\nfresh "
                                                   f"{theirs.get(x)}" for x in differ))
                return True
            harness.wait_for("a fresh agent to see the same", agree, QUIET_S)
        finally:
            fresh.stop()

    def restart_tells_nothing(self, w):
        before = w.journal()
        w.site.agent.stop()
        w.site.start_agent()
        harness.wait_for("a reading", lambda: w.site.ew("record", "--all").code == 0)
        self.assertEqual(w.journal(), before)

    def close_site(self, site):
        site.close()
        site.remove()
        self.sites.remove(site)

    def check_one_at_a_time(self, seed, steps):
        print(f"one at a time, seed {seed}", flush=True)
        w = self.new_world(seed)
        # What the first scan finds would be told as found by it.
        harness.wait_for("the first scan", lambda: w.site.ew("record", "--all").code == 0)
        single = OneAtATime(w)
        for _ in range(steps):
            run = choose_run(w)
            w.history.append(repr(run))
            try:
                single.step(run)
            except AssertionError:
                print(f"seed {seed} after:\n  " + "\n  ".join(w.history), file=sys.stderr)
                raise
        self.fresh_agent_agrees(w)
        self.restart_tells_nothing(w)
        print(f"  {single.exact} exact, {single.torn} torn, {single.known_ends} of {single.ends} "
              "removals by their command", flush=True)
        self.close_site(w.site)

    def check_all_at_once(self, seed, steps):
        print(f"all at once, seed {seed}", flush=True)
        w = self.new_world(seed)
        chaos = AllAtOnce(w)
        try:
            chaos.go(steps)
            changes = w.wait_settled()
            self.fresh_agent_agrees(w)
            self.restart_tells_nothing(w)
        except AssertionError:
            print(f"seed {seed} after:\n  " + "\n  ".join(chaos.log), file=sys.stderr)
            raise
        print(f"  {len(chaos.log)} events, {chaos.kills} kills, {len(changes)} changes", flush=True)
        self.close_site(w.site)

    def setUp(self):
        pass  # a site for each seed

    def test_one_at_a_time(self):
        for seed in ARGS.seeds:
            with self.subTest(seed=seed):
                self.check_one_at_a_time(seed, ARGS.steps or 9)

    def test_all_at_once(self):
        for seed in ARGS.seeds:
            with self.subTest(seed=seed):
                self.check_all_at_once(seed, (ARGS.steps or 9) * 100)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=lambda text: [int(x) for x in text.split(",")])
    parser.add_argument("--random", type=int, default=1, help="how many random seeds besides")
    parser.add_argument("--steps", type=int, help="runs of a seed")
    parser.add_argument("--quick", action="store_true",
                        help="leave out the longest wait, for the source of a killed rename to go")
    args, rest = parser.parse_known_args()
    if args.seeds is None:
        system = random.SystemRandom()
        args.seeds = [*FIXED_SEEDS, *(system.randrange(1 << 32) for _ in range(args.random))]
    sys.argv[1:] = rest
    return args


if __name__ == "__main__":
    ARGS = arguments()
    harness.main()
