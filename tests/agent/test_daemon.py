"""The agent's own processes: starting, stopping, being killed, a full disk, a changed folder.

Needs the programs envwardend and envwarden in the folder EW_BIN, and Python's standard library.
Conditions are waited for, never a time. Only processes started here are ended.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["EW_BIN"])
PATIENCE_S = 60
ALARMS = ("Sanitizer", "runtime error:", "broken invariant")


def wait_for(what, probe):
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.03)
    return answer


def roles(supervisor):
    """{role: pid} of the processes a supervisor has started."""
    found = {}
    try:
        children = pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text()
    except OSError:
        return found
    for pid in children.split():
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"--role" in words:
                found[words[words.index(b"--role") + 1].decode()] = int(pid)
        except OSError:
            pass
    return found


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Agent(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ew-"))
        self.home = self.dir / "home"
        self.envs = self.home / "miniconda3" / "envs"
        self.envs.mkdir(parents=True)
        self.config = self.dir / "agent.conf"
        self.config.write_text("running = off\nsettle_ms = 60\n")
        self.state = self.dir / "state"
        self.socket = self.dir / "run" / "agent.sock"
        self.log = self.dir / "log"
        self.started = []
        self.processes = []
        self.mounted = None

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.mounted:
            wait_for("the file system to be free", lambda: subprocess.run(
                ["umount", self.mounted], stderr=subprocess.DEVNULL).returncode == 0)
        text = self.log.read_text() if self.log.exists() else ""
        if any(alarm in text for alarm in ALARMS) or not self._succeeded():
            print(text)
        for alarm in ALARMS:
            self.assertNotIn(alarm, text)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _succeeded(self):
        result = getattr(self._outcome, "result", None)
        troubles = (result.errors + result.failures) if result else []
        return all(test is not self for test, _ in troubles)

    # --- processes

    def env(self):
        keep = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        return {**{k: os.environ[k] for k in keep if k in os.environ}, "HOME": str(self.home)}

    def spawn(self, umask=0o22):
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [BIN / "envwardend", "--user", "--foreground", "--config", self.config,
                 "--state-dir", self.state, "--socket", self.socket],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env(), umask=umask)
        self.processes.append(process)
        return process

    def start(self, umask=0o22):
        agent = self.spawn(umask)
        wait_for("the agent to watch", lambda: self.status() and not self.degraded())
        return agent

    def stop(self, agent):
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(PATIENCE_S), 0)

    def worker(self, agent, role, other_than=None):
        return wait_for(f"a {role}", lambda: (pid := roles(agent.pid).get(role)) != other_than
                        and pid)

    def command(self, *words):
        return subprocess.run([BIN / "envwarden", *words, "--socket", self.socket],
                              capture_output=True, text=True, env=self.env(), cwd=self.home,
                              timeout=PATIENCE_S)

    def json(self, *words):
        result = self.command(*words, "--json")
        try:
            return json.loads(result.stdout)
        except json.JSONDecodeError:
            return None

    def status(self):
        answer = self.json("status")
        return answer if answer and "journal" in answer else None

    def degraded(self):
        answer = self.status()
        return answer and [item["what"] for item in answer["degraded"]]

    def changes(self):
        answer = self.json("history")
        return (answer or {}).get("changes", [])

    def kinds(self):
        return [(c["kind"], pathlib.Path(c["environment"]["prefix"]).name) for c in self.changes()]

    # --- environments

    def write(self, name, package, version="1.0"):
        meta = self.envs / name / "conda-meta"
        meta.mkdir(parents=True, exist_ok=True)
        (meta / f"{package}-{version}-0.json").write_text(json.dumps(
            {"name": package, "version": version, "build": "0", "build_number": 0,
             "channel": "conda-forge", "subdir": "linux-64"}))
        with open(meta / "history", "a") as history:
            history.write(f"==> 2026-11-22 18:48:09 <==\n# cmd: conda install -n {name} {package}\n"
                          f"# conda version: 26.7.1\n+conda-forge/linux-64::{package}-{version}-0\n")

    # --- the tests

    def test_start_and_stop(self):
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        wait_for("it to be counted", lambda: self.status()["watched"] == 1)
        workers = roles(agent.pid)
        self.assertEqual(sorted(workers), ["core", "reader"])
        self.stop(agent)
        self.assertFalse(any(alive(pid) for pid in workers.values()))
        self.assertFalse(self.socket.exists())
        self.assertFalse((self.state / "running").exists())
        self.start()
        self.assertEqual(self.kinds(), [("created", "a")])

    def test_one_id_everywhere(self):
        self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        told = self.changes()[0]["environment"]["id"]
        self.assertEqual([e["id"] for e in self.json("list")["environments"]], [told])
        self.assertEqual(self.json("show", str(self.envs / "a"))["environment"]["id"], told)

    def test_what_cannot_be_read_is_told(self):
        agent = self.start()
        self.write("a", "foo")
        os.mkfifo(self.envs / "a" / "conda-meta" / "bar-1.0-0.json")
        bad = os.fsencode(self.envs) + b"/b\xff/conda-meta"
        os.makedirs(bad)
        with open(bad + b"/history", "w"):
            pass
        notes = lambda: [e["degraded"] for e in self.json("list")["environments"]]
        wait_for("the note", lambda: notes() and notes()[0])
        self.assertIn("conda-meta/bar-1.0-0.json", notes()[0][0])
        self.assertIn("partly read", [d["what"] for d in self.status()["degraded"]])
        text = str(self.envs / "b") + r"\xff"
        wait_for("the other one", lambda: text in [e["prefix"] for e in
                                                   self.json("list")["environments"]])
        self.assertEqual(self.json("show", text)["environment"]["prefix"], text)
        self.stop(agent)
        self.spawn()  # told anew after a start, though nothing has changed
        wait_for("the note again", lambda: self.status() and notes() and notes()[0])

    def test_name_while_the_reader_hangs(self):
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        os.kill(self.worker(agent, "reader"), signal.SIGSTOP)
        answer = self.json("check", "a", "--timeout-ms", "10000")
        self.assertEqual(answer["prefix"], str(self.envs / "a"))

    def test_reader_is_asked_only_when_something_happened(self):
        """While it is stopped, and so can't answer: what it lent its word on is known without it."""
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        path = str(self.envs / "a")
        reader = self.worker(agent, "reader")

        def notice(*words):
            return self.json("check", *words, "--timeout-ms", "10000").get("notice", "")

        def known_without_it():
            wait_for("a word lent", lambda: notice("--prefix", path) == "")
            os.kill(reader, signal.SIGSTOP)
            told = [notice("--prefix", path) for _ in range(5)]
            os.kill(reader, signal.SIGCONT)
            return told == [""] * 5

        wait_for("it to rest", known_without_it)
        os.kill(reader, signal.SIGSTOP)
        self.write("a", "bar")  # nobody has read that: no word is good
        self.assertIn("still reading", notice("--prefix", path))
        os.kill(reader, signal.SIGCONT)
        wait_for("the change", lambda: len(self.json("show", "a")["packages"]) == 2)
        wait_for("it to rest again", known_without_it)
        os.kill(reader, signal.SIGKILL)  # the next one has lent nothing yet
        self.worker(agent, "reader", reader)
        wait_for("the agent to watch", lambda: self.degraded() == [])
        self.write("a", "baz")
        wait_for("the change", lambda: len(self.json("show", "a")["packages"]) == 3)

    def test_stop_at_any_time(self):
        for step in range(12):
            agent = self.spawn()
            time.sleep(step * 0.02)  # an instant, not a condition
            agent.send_signal(signal.SIGTERM)
            # Before it listens for signals one ends it, as any program.
            self.assertIn(agent.wait(PATIENCE_S), (0, -signal.SIGTERM))
        self.start()

    def test_stop_while_writing(self):
        """What is on its way to the store gets there, and nothing is begun after that."""
        for step in range(8):
            agent = self.start()
            for i in range(12):
                self.write(f"e{i}", f"p{step}")
            wait_for("the first", lambda: len(self.changes()) > 12 * step)
            self.stop(agent)
        self.start()
        wait_for("all of them", lambda: len(self.changes()) >= 12 * 8 or all(
            len((self.json("show", f"e{i}") or {}).get("packages", [])) == 8 for i in range(12)))

    def test_second_agent_is_refused(self):
        self.start()
        other = self.spawn()
        self.assertEqual(other.wait(PATIENCE_S), 1)
        self.assertIn("already running", self.log.read_text())
        self.assertEqual(self.degraded(), [])

    def test_bad_config_is_final(self):
        self.config.write_text("settle_ms = 60\nsetle_ms = 1\n")
        self.assertEqual(self.spawn().wait(PATIENCE_S), 1)
        self.assertIn("line 2", self.log.read_text())

    def test_killed_workers_come_again(self):
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        for role in ("reader", "core", "reader"):
            before = self.worker(agent, role)
            os.kill(before, signal.SIGKILL)
            self.write("a", f"after-{role}-{before}")
            self.worker(agent, role, before)
            wait_for("the agent to watch", lambda: self.degraded() == [])
        wait_for("all packages", lambda: self.json("show", "a") and len(
            self.json("show", "a")["packages"]) == 4)
        self.assertEqual([c["seq"] for c in self.changes()], list(range(1, len(self.changes()) + 1)))
        self.stop(agent)

    def test_newest_reader_counts(self):
        """Readers that come and go while the core does not look."""
        agent = self.start()
        core = self.worker(agent, "core")
        os.kill(core, signal.SIGSTOP)
        reader = self.worker(agent, "reader")
        for _ in range(2):
            os.kill(reader, signal.SIGKILL)
            reader = self.worker(agent, "reader", reader)
        os.kill(core, signal.SIGCONT)
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        self.assertEqual(self.worker(agent, "reader"), reader)

    def test_killed_supervisor(self):
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        workers = roles(agent.pid)
        agent.kill()
        agent.wait()
        wait_for("its children to end", lambda: not any(alive(pid) for pid in workers.values()))
        self.write("b", "bar")
        shutil.rmtree(self.envs / "a")
        self.start()
        wait_for("what happened meanwhile", lambda: len(self.changes()) == 3)
        self.assertEqual(sorted(self.kinds()), [("created", "a"), ("created", "b"), ("deleted", "a")])
        self.assertTrue(all(c["seen_at_start"] for c in self.changes()[1:]))

    def test_reload(self):
        agent = self.start()
        reader = self.worker(agent, "reader")
        agent.send_signal(signal.SIGHUP)
        self.worker(agent, "reader", reader)
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])

    def test_folder_of_environments_moves(self):
        self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        self.envs.rename(self.envs.parent / "gone")
        wait_for("its end", lambda: self.kinds()[1:] == [("deleted", "a")])

    def test_excluded_is_left_alone(self):
        self.config.write_text(f"running = off\nsettle_ms = 60\nexclude = {self.envs / 'mine'}\n")
        self.write("mine", "foo")
        self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        self.assertEqual(self.json("check", "--prefix", str(self.envs / "mine"))["decision"],
                         "allow")
        self.assertEqual(self.command("record", str(self.envs / "mine")).returncode, 7)
        self.write("b", "foo")
        wait_for("the change", lambda: ("created", "b") in self.kinds())
        self.assertEqual(len(self.kinds()), 2)

    def test_follow(self):
        agent = self.start()
        command = [BIN / "envwarden", "history", "--follow", "--json", "--socket", self.socket]
        followers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      text=True, env=self.env()) for _ in range(8)]
        self.processes += followers
        self.write("a", "foo")
        for follower in followers[1:]:
            self.assertIn('"created"', follower.stdout.readline())
        followers[0].kill()  # one that goes without a word
        self.write("a", "bar")
        for follower in followers[1:]:
            self.assertIn('"installed"', follower.stdout.readline())
        self.stop(agent)  # they are not what holds it up, and wait for the next one
        for follower in followers:
            follower.kill()
            follower.wait(PATIENCE_S)
            follower.stdout.close()

    def test_fallback_file(self):
        agent = self.start(umask=0o77)
        fallback = self.socket.with_name("agent.sock.fallback")
        wait_for("the file", fallback.exists)
        self.assertEqual(fallback.stat().st_mode & 0o777, 0o644)
        self.assertEqual(fallback.read_bytes()[:8], b"EWFALLBK")
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o711)
        self.assertEqual((self.state / "store").stat().st_mode & 0o777, 0o700)
        for path in self.state.rglob("*"):
            if path.is_file():
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)
        self.assertEqual(self.socket.stat().st_mode & 0o777, 0o600)
        self.stop(agent)
        self.write("a", "foo")
        answer = self.json("check", "--prefix", str(self.envs / "a"))
        self.assertEqual((answer["decision"], answer["source"]), ("allow", "fallback"))

    def test_folders_in_large_numbers(self):
        self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        for i in range(1500):
            (self.envs / f"p{i}").mkdir()
            (self.envs / f"f{i}").write_text("")
        self.write("p1499", "foo")
        wait_for("the change", lambda: ("created", "p1499") in self.kinds())
        self.assertEqual(len(self.kinds()), 2)

    def test_full_disk(self):
        if os.geteuid() != 0 or not shutil.which("mount"):
            self.skipTest("only root can make a small disk")
        self.state.mkdir(mode=0o711)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=711", "tmpfs", self.state],
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("may not mount here")
        self.mounted = self.state
        agent = self.start()
        self.write("a", "foo")
        wait_for("the change", lambda: self.kinds() == [("created", "a")])
        (self.state / "filler").write_bytes(b"")
        with open(self.state / "filler", "ab", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        for i in range(30):
            self.write("a", f"bar{i}")
        wait_for("it to say so", lambda: "not recording" in (self.degraded() or []))
        answer = self.json("check", "--prefix", str(self.envs / "a"))
        self.assertEqual((answer["decision"], answer["source"]), ("allow", "agent"))
        # A new start does not need room either.
        self.stop(agent)
        self.spawn()
        wait_for("it to say so again", lambda: "not recording" in (self.degraded() or []))
        (self.state / "filler").unlink()
        wait_for("it to go on", lambda: self.degraded() == [] and self.json("show", "a") and len(
            self.json("show", "a")["packages"]) == 31)


if __name__ == "__main__":
    unittest.main(verbosity=2)
