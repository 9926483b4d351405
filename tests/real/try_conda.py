#!/usr/bin/env python3
"""What the agent says, beside what a real conda did.

    try_conda.py [--bin DIR] [--keep] [--only WORD] CONDA

CONDA is the conda program of an installation (README.md beside this file says where to get one).
Everything happens in a temporary home with a channel of its own; the installation is only run.
Prints a table: the step, what was expected, what was seen. Exit 0: they are the same everywhere.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

QUIET_S = 1.5  # settle time, a read, and some more on a busy machine
CONDA_S = 180
SLOW_S = 4
PATIENCE_S = 15  # for a change that comes late


def label(package):
    """name version, with a star when somebody asked for it."""
    return f"{package['name']} {package['version']}" + "*" * bool(package.get("requested"))


class World:
    """A home, a channel, a conda and an agent."""

    def __init__(self, conda, harness, channels):
        self.conda_program, self.harness, self.channels = conda, harness, channels
        self.site = harness.Site()
        self.home, self.envs = self.site.home, self.site.home / "envs"
        self.rows, self.bad, self.seen = [], 0, 0
        self.channel = channels.Channel(self.site.dir / "channel")
        self.fill_channel()
        self.condarc(self.envs)
        self.site.env |= {"CONDARC": str(self.home / ".condarc"), "PIP_NO_INDEX": "1",
                          "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.solver_is_classic()

    def condarc(self, *envs_dirs, more=""):
        dirs = "".join(f"  - {folder}\n" for folder in envs_dirs)
        (self.home / ".condarc").write_text(
            f"channels: [{self.channel.url}]\ndefault_channels: []\nenvs_dirs:\n{dirs}"
            f"pkgs_dirs: [{self.home}/pkgs]\nnotify_outdated_conda: false\nalways_yes: true\n"
            f"show_channel_urls: true\n{more}")

    def solver_is_classic(self):
        """Some installations have libmamba's solver, all have the classic one."""
        probe = self.conda("create", "-n", "probe", "--dry-run", check=False)
        if probe.returncode != 0:
            self.site.env["CONDA_SOLVER"] = "classic"

    def fill_channel(self):
        add = self.channel.add
        for version in ("1.0", "1.1", "2.0"):
            add("foo", version, form=".tar.bz2" if version == "1.1" else ".conda")
        add("bar", "1.0", depends=["foo"], build="h1_3", subdir="linux-64")
        add("baz", "1.0")
        for name in ("bad", "slow"):
            add(name, "1.0", subdir="linux-64", build="0", files={
                f"share/{name}.txt": "", f"bin/.{name}-post-link.sh":
                    "exit 3\n" if name == "bad" else f"sleep {SLOW_S}\n"})
        self.channels.add_python(self.channel)
        self.channels.add_python_package(self.channel, "pure", "1.0")
        self.has_pip = self.channels.add_pip(self.channel)
        self.channel.write()

    # --- doing

    def start(self, *words, env=None):
        return subprocess.Popen([str(self.conda_program), *map(str, words)], cwd=self.home,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                env={**self.site.env, **(env or {})})

    def conda(self, *words, check=True, env=None):
        process = self.start(*words, env=env)
        out, _ = process.communicate(timeout=CONDA_S)
        if check and process.returncode != 0:
            raise RuntimeError(f"conda {' '.join(map(str, words))}: {process.returncode}\n{out}")
        process.out = out
        return process

    def pip(self, env, *words):
        subprocess.run([self.envs / env / "bin" / "python", "-m", "pip", *words], check=True,
                       cwd=self.home, env=self.site.env, capture_output=True, text=True)

    # --- seeing

    def changes(self):
        return self.site.agent_changes()

    def known(self):
        return {pathlib.Path(e["prefix"]): e
                for e in self.site.ew("list", "--json").json()["environments"]}

    def name(self, prefix):
        path = pathlib.Path(prefix)
        for folder in (self.envs, self.home):
            if path.is_relative_to(folder):
                return str(path.relative_to(folder))
        return str(path)

    def tell(self, change):
        """A change as the table shows it."""
        words = [change["kind"], self.name(change["environment"]["prefix"])]
        words += [f"-{label(p).rstrip('*')}" for p in change["removed"]]
        words += [f"+{label(p)}" for p in change["added"]]
        if change.get("from_prefix"):
            words.append(f"from={self.name(change['from_prefix'])}")
        if change.get("cloned_from"):
            by_id = {e["id"]: p for p, e in self.known().items()}
            words.append(f"of={self.name(by_id.get(change['cloned_from'], '?'))}")
        words += [flag for flag in ("seen_at_start", "self_reported") if change.get(flag)]
        if change.get("detail"):
            words.append(f"({change['detail']})")
        return " ".join(words)

    def step(self, title, act, *expected, tool="conda", command=None):
        """Acts, waits for as many changes as are expected and for quiet, and compares."""
        if self.only and self.only not in title:
            return
        started = time.monotonic()
        trouble = []
        try:
            act()
        except (RuntimeError, subprocess.SubprocessError, OSError) as error:
            trouble.append(f"not done: {str(error)[-600:]}")
        deadline = time.monotonic() + (0 if trouble else PATIENCE_S)
        while time.monotonic() < deadline and len(self.changes()) - self.seen < len(expected):
            time.sleep(0.1)
        time.sleep(QUIET_S)
        new = self.changes()[self.seen:]
        seen = [self.tell(change) for change in new]
        trouble += self.about(new, tool, command)
        self.site.record("--all")
        late = self.changes()[self.seen + len(new):]
        trouble += [f"only after record: {self.tell(change)}" for change in late]
        self.seen += len(new) + len(late)
        trouble += self.truth()
        same = sorted(seen) == sorted(expected) and not trouble
        self.bad += not same
        self.rows.append((title, expected, seen, trouble))
        mark = "ok " if same else "BAD"
        print(f"{mark} {title}  [{time.monotonic() - started:.1f} s]", flush=True)
        if not same or self.verbose:
            print(f"      expected  {'; '.join(expected) or 'no change'}")
            print(f"      seen      {'; '.join(seen) or 'no change'}")
        for line in trouble:
            print(f"      {line}", flush=True)

    def about(self, changes, tool, command):
        """Whether tool, command and actor are told as they were."""
        trouble = []
        for change in changes:
            if tool is not None and change.get("tool", "") != tool:
                trouble.append(f"tool {change.get('tool')!r}, was {tool!r}")
            if command and command not in change.get("command", ""):
                trouble.append(f"command {change.get('command')!r}, was …{command}…")
            if command == "" and change.get("command"):
                trouble.append(f"command {change['command']!r}, was none")
            # Who deletes is seen of conda only.
            uid = None if change["kind"] == "deleted" and tool != "conda" else os.getuid()
            if change.get("actor", {}).get("uid") != uid:
                trouble.append(f"actor {change.get('actor')!r}")
        return trouble

    def truth(self):
        """Where conda's own lists differ from the agent's."""
        told = json.loads(self.conda("env", "list", "--json").out)["envs"]
        conda_envs = {pathlib.Path(p) for p in told if pathlib.Path(p).is_relative_to(self.home)}
        conda_envs |= {p for p in self.more_envs() if (p / "conda-meta" / "history").exists()}
        ours = {p: e for p, e in self.known().items() if p.is_relative_to(self.home)}
        trouble = [f"conda has {self.name(p)}, the agent not" for p in conda_envs - set(ours)]
        trouble += [f"the agent has {self.name(p)}, conda not" for p in set(ours) - conda_envs]
        for prefix in sorted(conda_envs & set(ours)):
            trouble += self.compare(prefix, ours[prefix])
        return trouble

    def more_envs(self):
        """For root, conda looks into the homes of accounts instead of $HOME."""
        registry = self.home / ".conda" / "environments.txt"
        lines = registry.read_text().splitlines() if registry.exists() else ()
        return self.unregistered | {pathlib.Path(line) for line in lines}

    def compare(self, prefix, environment):
        listed = json.loads(self.conda("list", "--json", "-p", prefix).out)
        theirs = {(p["name"], p["version"], p["build_string"], p["build_number"], p["platform"],
                   "pypi" if p["channel"] == "pypi" else p["base_url"]) for p in listed}
        shown = self.site.ew("show", str(prefix), "--json").json()
        ours = {(p["name"], p["version"], p["build"], p["build_number"], p["subdir"],
                 p["channel"]) if p["manager"] == "conda" else
                (p["name"], p["version"], "pypi_0", 0, "pypi", "pypi")
                for p in shown["packages"]}
        trouble = [f"{self.name(prefix)}: conda has {p}" for p in sorted(theirs - ours)]
        trouble += [f"{self.name(prefix)}: the agent has {p}" for p in sorted(ours - theirs)]
        if environment["packages"] != len(listed):
            trouble.append(f"{self.name(prefix)}: list tells {environment['packages']} packages, "
                           f"conda {len(listed)}")
        return trouble

    def print_table(self):
        for title, expected, seen, trouble in self.rows:
            told = "; ".join(seen) or "no change"
            same = sorted(seen) == sorted(expected) and not trouble
            print(f"{title} -> {'; '.join(expected) or 'no change'} -> "
                  f"{'the same' if same else '; '.join([told, *trouble])}")

    unregistered = frozenset()  # environments conda's list cannot know
    only = None
    verbose = False


def make_and_change(w):
    """The commands everybody uses."""
    step, conda, py = w.step, w.conda, w.channels.python_version()
    step("create, empty", lambda: conda("create", "-n", "empty"),
         "created empty", command="create -n empty")
    step("create", lambda: conda("create", "-n", "w", "foo=1.0"),
         "created w +foo 1.0*", command="create -n w foo=1.0")
    step("install, with a dependency there", lambda: conda("install", "-n", "w", "bar"),
         "installed w +bar 1.0*", command="install -n w bar")
    step("install what is there", lambda: conda("install", "-n", "w", "bar"))
    step("install, dry run", lambda: conda("install", "-n", "w", "baz", "--dry-run", check=False))
    step("install, unknown package",
         lambda: conda("install", "-n", "w", "no-such-thing", check=False))
    step("update", lambda: conda("update", "-n", "w", "foo"),
         "updated w -foo 1.0 +foo 2.0*", command="update -n w foo")
    step("update, nothing newer", lambda: conda("update", "-n", "w", "--all"))
    step("remove", lambda: conda("remove", "-n", "w", "bar"),
         "removed w -bar 1.0", command="remove -n w bar")
    step("install --revision", lambda: conda("install", "-n", "w", "--revision", "1"),
         "updated w -foo 2.0 +bar 1.0 +foo 1.0*", command="install -n w --revision 1")
    step("downgrade", lambda: conda("install", "-n", "w", "foo=1.1", "bar"),
         "updated w -foo 1.0 +foo 1.1*", command="install -n w foo=1.1")
    step("install a file", lambda: conda(
        "install", "-n", "w", w.channel.folder / "noarch" / "baz-1.0-0.conda"),
         "installed w +baz 1.0*", command="baz-1.0-0.conda")
    step("clone", lambda: conda("create", "-n", "w2", "--clone", "w"),
         "cloned w2 +bar 1.0* +baz 1.0* +foo 1.1* of=w", command="--clone w")
    step("rename", lambda: conda("rename", "-n", "w2", "w3"),
         "renamed w3 from=w2", command="rename -n w2 w3")
    step("remove after rename", lambda: conda("remove", "-n", "w3", "baz"),
         "removed w3 -baz 1.0", command="remove -n w3 baz")
    step("env remove", lambda: conda("env", "remove", "-n", "w3"),
         "deleted w3 -bar 1.0 -foo 1.1", command="env remove -n w3")
    step("create, again at its place", lambda: conda("create", "-n", "w3", "baz"),
         "recreated w3 +baz 1.0*", command="create -n w3 baz")
    step("remove --all", lambda: conda("remove", "-n", "w3", "--all"),
         "deleted w3 -baz 1.0", command="remove -n w3 --all")
    step("create with python", lambda: conda("create", "-n", "py", "python", "pip", "pure"),
         f"created py +pip {w.pip_version}* +pure 1.0* +python {py}*",
         command="create -n py python pip pure")


def configure(w):
    step, conda = w.step, w.conda
    step("env config vars set",
         lambda: conda("env", "config", "vars", "set", "A=1", "-n", "w"),
         "config w (state)", tool="", command="")
    step("env config vars set, the same",
         lambda: conda("env", "config", "vars", "set", "A=1", "-n", "w"))
    step("env config vars unset",
         lambda: conda("env", "config", "vars", "unset", "A", "-n", "w"),
         "config w (state)", tool="", command="")
    meta = w.envs / "w" / "conda-meta"
    step("pinned", lambda: (meta / "pinned").write_text("foo 1.1\n"),
         "config w (pinned)", tool="", command="")
    step("update what is pinned", lambda: conda("update", "-n", "w", "foo"))
    step("frozen", lambda: (meta / "frozen").write_text('{"message": "leave it"}'),
         "config w (frozen)", tool="", command="")
    step("install into a frozen one",
         lambda: conda("install", "-n", "w", "pure", check=False))
    step("no longer frozen, pinned",
         lambda: [(meta / name).unlink() for name in ("frozen", "pinned")],
         "config w (frozen,pinned)", tool="", command="")
    file = w.home / "environment.yml"

    def env_file(words, *packages):
        file.write_text(f"name: yaml\ndependencies: [{', '.join(packages)}]\n")
        conda("env", *words, "-f", file)
    step("env create -f", lambda: env_file(["create"], "foo=1.0"),
         "created yaml +foo 1.0*", command="env create -f")
    step("env update -f", lambda: env_file(["update"], "foo=1.0", "baz"),
         "installed yaml +baz 1.0*", command="env update -f")
    step("env update -f --prune", lambda: env_file(["update", "--prune"], "foo=2.0"),
         "updated yaml -baz 1.0 -foo 1.0 +foo 2.0*", command="env update --prune")


def use(w):
    step, conda, py = w.step, w.conda, w.envs / "py"
    minor = "{}.{}".format(*sys.version_info[:2])
    packages = py / "lib" / f"python{minor}" / "site-packages"
    step("conda run", lambda: conda("run", "-n", "py", "python", "-c", "import pure"))
    step("conda list, export, search", lambda: (
        conda("list", "-n", "py"), conda("env", "export", "-n", "py"), conda("search", "foo")))
    one, two = (w.channels.wheel(w.home, "Foo.Bar", version) for version in ("1.0", "2.0"))
    if w.has_pip:
        step("pip install", lambda: w.pip("py", "install", str(one)),
             "installed py +foo-bar 1.0*", tool="pip", command="")
        step("pip install, newer", lambda: w.pip("py", "install", str(two)),
             "updated py -foo-bar 1.0 +foo-bar 2.0*", tool="pip", command="")
        step("pip uninstall", lambda: w.pip("py", "uninstall", "-y", "foo-bar"),
             "removed py -foo-bar 2.0", tool=None, command="")
        step("conda run pip install",
             lambda: conda("run", "-n", "py", "pip", "install", str(one))
             if (py / "bin" / "pip").exists() else
             conda("run", "-n", "py", "python", "-m", "pip", "install", str(one)),
             "installed py +foo-bar 1.0*", tool="pip", command="")
        step("pip uninstalls what conda installed", lambda: w.pip("py", "uninstall", "-y", "pure"),
             "removed py -pure 1.0", tool="", command="")
        step("conda list after it, which drops its record", lambda: conda("list", "-n", "py"))
        step("conda brings it back", lambda: conda("install", "-n", "py", "pure"),
             "installed py +pure 1.0*", command="install -n py pure")
        two = w.channels.wheel(w.home, "pure", "2.0")
        step("pip installs over what conda installed",
             lambda: w.pip("py", "install", "--no-deps", str(two)),
             "updated py -pure 1.0 +pure 2.0*", tool=None, command="")
        step("and back", lambda: (w.pip("py", "uninstall", "-y", "pure"), time.sleep(QUIET_S),
                                  conda("install", "-n", "py", "pure")),
             "removed py -pure 2.0", "installed py +pure 1.0*", tool=None)
    step("a dist-info deleted", lambda: shutil.rmtree(packages / "pure-1.0.dist-info"),
         "removed py -pure 1.0", tool="", command="")
    step("conda list drops its record", lambda: conda("list", "-n", "py"))


def fail(w):
    step, conda = w.step, w.conda

    def interrupted(number, *words):
        process = w.start(*words)
        deadline = time.monotonic() + 60
        target = w.envs / words[words.index("-n") + 1] / "share" / "slow.txt"
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.8)
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
    step("install with a failing post-link",
         lambda: conda("install", "-n", "w", "bad", "foo=2.0", check=False))
    step("create with a failing post-link",
         lambda: conda("create", "-n", "bad", "bad", check=False))
    step("Ctrl-C in create",
         lambda: interrupted(signal.SIGINT, "create", "-n", "int", "slow", "foo"))
    step("Ctrl-C in install",
         lambda: interrupted(signal.SIGINT, "install", "-n", "w", "slow", "foo=2.0"))
    step("kill -9 in create",
         lambda: interrupted(signal.SIGKILL, "create", "-n", "killed", "slow", "foo"))
    step("create, where one was killed", lambda: conda("create", "-n", "killed", "foo"),
         "created killed +foo 2.0*", command="create -n killed foo")
    step("slow post-link", lambda: conda("install", "-n", "killed", "slow"),
         "installed killed +slow 1.0*", command="install -n killed slow")

    def two_at_once():
        both = [w.start("install", "-n", "empty", name) for name in ("slow", "baz")]
        for process in both:
            process.communicate(timeout=CONDA_S)
    step("two installs at once", two_at_once,
         "installed empty +baz 1.0*", "installed empty +slow 1.0*", command="install -n empty")


def places(w):
    step, conda = w.step, w.conda
    away = w.home / "deep" / "er" / "one"
    step("create -p", lambda: conda("create", "-p", away, "foo=1.0"),
         "created deep/er/one +foo 1.0*", command="create -p")
    w.unregistered = {away.with_name("two")}
    step("mv", lambda: away.rename(away.with_name("two")),
         "renamed deep/er/two from=deep/er/one", tool="", command="")
    step("mv out of its folder", lambda: (away.parent / "two").rename(w.home / "moved"),
         "deleted deep/er/two -foo 1.0", tool="", command="")
    step("conda uses it there", lambda: conda("install", "-p", w.home / "moved", "baz"),
         "created moved +baz 1.0* +foo 1.0*", command="install -p")
    step("cp -a", lambda: shutil.copytree(w.envs / "w", w.envs / "copy", symlinks=True),
         "created copy +bar 1.0 +baz 1.0* +foo 1.1*", tool="", command="")
    other = w.home / "other-envs"
    w.condarc(other, w.envs)
    step("create in another of envs_dirs", lambda: conda("create", "-n", "o", "baz"),
         "created other-envs/o +baz 1.0*", command="create -n o baz")
    step("create, not registered", lambda: conda(
        "create", "-n", "unreg", "baz", env={"CONDA_REGISTER_ENVS": "false"}),
         "created other-envs/unreg +baz 1.0*", command="create -n unreg baz")
    step("rm -rf", lambda: shutil.rmtree(other / "o"),
         "deleted other-envs/o -baz 1.0", tool="", command="")
    step("rm -rf of the folder of them", lambda: shutil.rmtree(other),
         "deleted other-envs/unreg -baz 1.0", tool="", command="")

    def while_down():
        w.site.agent.stop()
        conda("install", "-n", "w", "foo=1.0")
        conda("create", "-n", "late", "baz")
        shutil.rmtree(w.envs / "yaml")
        w.site.start_agent()
    step("while the agent is not running", while_down,
         "updated w -foo 1.1 +foo 1.0* seen_at_start", "created other-envs/late +baz 1.0* seen_at_start",
         "deleted yaml -foo 2.0 seen_at_start", tool=None)


SHELLS = {  # how to run a script without anybody's own configuration
    "bash": ["bash", "--norc", "--noprofile"], "zsh": ["zsh", "-f"],
    "fish": ["fish", "--no-config"], "tcsh": ["tcsh", "-f"], "posix": ["dash"]}


def activate(w):
    """What a member meets in each shell, before and after a fleet manager blocks."""
    site, prefix = w.site, w.envs / "act"
    if w.only and w.only not in "activate":
        return
    w.condarc(w.envs)
    w.conda("create", "-n", "act", "baz")
    site.start_server()
    site.log_in()
    site.log_in_command()
    site.logging("on")
    site.enrol()
    w.harness.wait_for("the environment at the server", lambda: any(
        change["environment"]["prefix"] == str(prefix) for change in site.server_changes()))

    def words_of(shell):
        """Where `conda activate act` leads, and what it says."""
        script = site.dir / f"activate.{shell}"
        hook, ours = (site.dir / f"{name}.{shell}" for name in ("conda", "envwarden"))
        hook.write_text(w.conda(f"shell.{shell}", "hook").out.replace(
            "conda activate 'base'", ""))
        ours.write_text(site.must("envwarden", "shell-init", shell).out)
        source = "." if shell == "posix" else "source"
        script.write_text(f"{source} {hook}\n{source} {ours}\nconda activate act\n"
                          "printenv CONDA_PREFIX\n")
        done = subprocess.run([*SHELLS[shell], script], capture_output=True, text=True,
                              cwd=w.home, check=False,
                              env={**site.env, "ENVWARDEN_SOCKET": str(site.socket)})
        return done.stdout.strip(), done.stderr.strip()

    def tell_shell(shell, title, good, expected):
        if not shutil.which(SHELLS[shell][0]):
            return
        out, err = words_of(shell)
        fine = good(out, err)
        w.bad += not fine
        seen = [expected] if fine else [repr((out, err))]
        w.rows.append((f"{title} in {shell}", [expected], seen, []))
        print(f"{'ok ' if fine else 'BAD'} {title} in {shell}")
        if not fine:
            print(f"      expected  {expected}\n      seen      {out!r} {err!r}", flush=True)
    for shell in SHELLS:
        tell_shell(shell, "activate", lambda out, err: out == str(prefix) and err == "",
                   "activated, no word")
    result = site.admin("env", "set-status", prefix, "block", "--message", "Use env-2 instead.")
    if result.code != 0:
        raise RuntimeError(repr(result))
    w.harness.wait_for("the block", lambda: site.ew("check", "--prefix", prefix).code == 4)
    for shell in SHELLS:
        tell_shell(shell, "activate what is blocked",
                   lambda out, err: out == "" and "Use env-2 instead." in err,
                   "not activated, the message")


def main():
    parser = argparse.ArgumentParser(description="the agent beside a real conda")
    parser.add_argument("conda", type=pathlib.Path)
    parser.add_argument("--bin", help="folder of our programs; else EW_BIN or build/asan/bin")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--only", help="run only the steps whose title has this word")
    parser.add_argument("--verbose", action="store_true", help="tell the steps that are well, too")
    words = parser.parse_args()
    if words.bin:
        os.environ["EW_BIN"] = os.path.abspath(words.bin)
    import channel
    import harness
    w = World(words.conda.absolute(), harness, channel)
    w.only, w.verbose = words.only, words.verbose
    w.pip_version = next(iter(n.split("-")[1] for n in w.channel.packages["noarch"]
                              if n.startswith("pip-")), "?")
    print(f"{w.conda('--version').out.strip()}; everything is in {w.site.dir}", flush=True)
    try:
        w.site.start_agent()
        for part in (make_and_change, configure, use, fail, places, activate):
            part(w)
    finally:
        w.site.close()
        if not words.keep:
            w.site.remove()
    w.print_table()
    print(f"{len(w.rows)} steps, {w.bad} not as expected")
    return w.bad != 0


if __name__ == "__main__":
    sys.exit(main())
