"""What the measuring programs here share: an agent in a temporary home, environments for it, rows.

    with bench.Site() as site:
        site.make_environments(records, 200)
        site.start()
        ...
    with bench.Enrolled() as site:                  # the same on an organisation's machine
        ...
    bench.row("what", figure, reference, "ms", "<= 2 x", ok)

A row is one of the table in docs/performance.md, with the reference taken in the same run. The
programs come from the folder EW_BIN, else build/bench/bin.
"""

import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("EW_BIN") or ROOT / "build" / "bench" / "bin")
FIXTURES = ROOT / "tests" / "fixtures" / "conda-meta"
PATIENCE_S = 120
RULES = 1000
# Most real records are small; of the big ones these are the sizes.
GROWN_SIZES = (128 << 10, 256 << 10, 512 << 10, 1 << 20)
GROWN_EVERY = 12

sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "integration"))


def row(what, figure, reference, unit, budget, ok):
    """reference None: there is nothing to compare with."""
    compared = f"{reference:.4g} {unit} | {figure / reference:.2f}" if reference else "- | -"
    print(f"| {what} | {figure:.4g} {unit} | {compared} | {budget} | {'ok' if ok else 'OVER'} |",
          flush=True)


def median(samples):
    return percentile(samples, 0.5)


def percentile(samples, share):
    """The one that this share of the samples does not exceed."""
    return sorted(samples)[round(share * (len(samples) - 1))]


# --- records


def _grow(record, size):
    """Repeats the record's own list of files until it is about as long as real big ones are.

    Without the Python distribution it lists: real records list one, and what lists several is read
    each time.
    """
    names = [name for name in record["files"] if ".dist-info" not in name]
    entries = [e for e in record["paths_data"]["paths"] if ".dist-info" not in e["_path"]]
    each = len(json.dumps({"f": names, "p": entries}, indent=2))
    files, paths = [], []
    for i in range(max(1, size // each)):
        files += [f"{i}/{name}" for name in names]
        paths += [dict(entry, _path=f"{i}/{entry['_path']}") for entry in entries]
    record["files"], record["paths_data"]["paths"] = files, paths


def records(count, folder=FIXTURES):
    """(file name, text) of `count` packages: the real ones, and then the same by other names."""
    sources = sorted(pathlib.Path(folder).glob("*.json"))
    for i in range(count):
        text = sources[i % len(sources)].read_text()
        record = json.loads(text)
        name = record["name"]
        if i >= len(sources):
            name += f"-{i // len(sources)}"
            text = text.replace(f'"name": "{record["name"]}"', f'"name": "{name}"')
        if i % GROWN_EVERY == 0 and record.get("files") and record.get("paths_data"):
            record["name"] = name
            _grow(record, GROWN_SIZES[i // GROWN_EVERY % len(GROWN_SIZES)])
            text = json.dumps(record, indent=2, sort_keys=True)
        yield f"{name}-{record['version']}-{record['build']}.json", text


# --- processes


def children(pid):
    return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status_field(path, field):
    """A number from /proc/PID/status and the like; 0 when the process has just ended."""
    try:
        for line in path.read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_s(pid):
    """The processor time it has used so far, all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


class Site:
    """An agent of its own in a temporary home. Entered: the folders; started: the agent."""

    def __init__(self):
        self.dir = self.agent = None
        self._lines = queue.Queue()

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ewb-"))  # short: it holds a socket
        self.home, self.socket = self.dir / "home", self.dir / "agent.sock"
        self.config = self.dir / "agent.conf"
        (self.home / ".conda").mkdir(parents=True)
        self.configure()
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        return self

    def __exit__(self, *failure):
        self.stop()
        shutil.rmtree(self.dir)

    def configure(self, text="", running=False):
        """Blind to what else runs as this account: other programs' environments come and go."""
        self.config.write_text(("" if running else "running = off\n") + text)

    # --- environments

    def make_environments(self, packages, count):
        """The same records in each, as hard links. Returns the prefixes."""
        packages = list(packages)
        prefixes = [self.home / "envs" / f"e{i:03}" for i in range(count)]
        for prefix in prefixes:
            meta = prefix / "conda-meta"
            meta.mkdir(parents=True)
            for name, text in packages:
                if prefix is prefixes[0]:
                    (meta / name).write_text(text)
                else:
                    os.link(prefixes[0] / "conda-meta" / name, meta / name)
            (meta / "history").write_text("==> 2026-01-02 03:04:05 <==\n# cmd: conda create\n"
                                          "# conda version: 26.7.1\n")
        (self.home / ".conda" / "environments.txt").write_text(
            "".join(f"{prefix}\n" for prefix in prefixes))
        return prefixes

    # --- the agent

    def start(self):
        """Starts it with what state it has; wait_log tells how far it is."""
        self.agent = subprocess.Popen(
            [BIN / "envwardend", "--user", "--foreground", "--config", self.config, "--state-dir",
             self.dir / "state", "--socket", self.socket],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self.env)
        threading.Thread(target=self._read_log, args=(self.agent.stderr,), daemon=True).start()

    def wait_socket(self):
        """Until it answers, however little it knows yet."""
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.socket)) == 0:
                    return
            time.sleep(0.001)

    def _read_log(self, stream):
        for line in stream:
            self._lines.put((time.monotonic(), line))

    def wait_log(self, words, count=1):
        """Waits until `words` were logged `count` times; when the last one was."""
        while True:
            when, line = self._lines.get(timeout=PATIENCE_S)
            if words in line:
                count -= 1
                if count == 0:
                    return when

    def wait_created(self, count=1):
        """Until `count` environments of this site are in the journal; this machine has others."""
        return self.wait_log(f'journal: created prefix="{self.home}/', count)

    def stop(self):
        if self.agent is None:
            return
        self.agent.terminate()
        if self.agent.wait(PATIENCE_S) != 0:
            raise RuntimeError(f"the agent ended with {self.agent.returncode}")
        self.agent = None
        while not self._lines.empty():
            self._lines.get()

    def forget(self):
        """The next start is a first one."""
        shutil.rmtree(self.dir / "state")

    def command(self, *words):
        return [BIN / "envwarden", words[0], "--socket", self.socket, *words[1:]]

    # --- what its processes need

    def _pids(self):
        return [self.agent.pid, *children(self.agent.pid)]

    def rss_anon_mb(self):
        return sum(status_field(pathlib.Path(f"/proc/{pid}/status"), "RssAnon")
                   for pid in self._pids()) / 1024

    def wake_ups(self):
        return sum(status_field(task / "status", "voluntary_ctxt_switches")
                   for pid in self._pids() for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    def written_bytes(self):
        return sum(status_field(pathlib.Path(f"/proc/{pid}/io"), "write_bytes")
                   for pid in self._pids())


class Enrolled(Site):
    """The same on a machine of an organisation, whose policy has 1,000 rules that nothing breaks."""

    def __enter__(self):
        os.environ["EW_BIN"] = str(BIN)
        import harness
        self._harness, self._org = harness, harness.Site()
        self.dir, self.home, self.socket = self._org.dir, self._org.home, self._org.socket
        self.config, self.env = self._org.agent_config, self._org.env
        (self.home / ".conda").mkdir()
        self.configure()
        return self

    def start(self, environments):
        """Until the policy is in force on as many environments."""
        org, policy = self._org, self.dir / "policy.yaml"
        org.start_everything()
        self.agent = org.agent.process
        org.log_in_command()
        self._harness.wait_for("the environments", lambda: len(org.environments()) == environments)
        policy.write_text("policy: 1\nrules:\n" + "".join(
            f'  - {{id: r{i}, when: {{package: "p{i} <{i}"}}, action: warn}}\n' for i in range(RULES)))
        org.must("envwarden-admin", "policy", "apply", policy, "--yes")
        self._harness.wait_for("the policy", lambda: org.admin(
            "--json", "policy", "show").json()["active"] == 1)

    def block_one(self):
        prefix = self._org.environments()[0]["prefix"]
        self._harness.wait_for("it at the server", lambda: prefix in {
            env["prefix"] for env in self._org.api("/environments")["environments"]})
        self._org.must("envwarden-admin", "env", "set-status", prefix, "block", "--message", "no")
        self._harness.wait_for("the block", lambda: self._org.ew(
            "check", "--prefix", prefix).code == 4)

    def stop(self):
        self._org.close()

    def __exit__(self, *failure):
        try:
            self.stop()
        finally:
            for program in self._org.programs():
                program.kill()
            self._org.remove()
