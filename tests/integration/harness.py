"""Real programs in a temporary home: org server and agent on loopback, and what asks them.

    class Story(harness.Case):
        def test_it(self):
            site = self.site            # a Site: temporary folders, nothing started yet
            site.start_everything()     # server, agent, enrolled, logging on
            site.wait_for("a change", lambda: site.agent_changes())

The programs come from the folder EW_BIN. Conditions are waited for, never a time. Only processes
started here are ended. When a test fails, its logs are printed and its folder is kept.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))

BIN = pathlib.Path(os.environ.get("EW_BIN") or ROOT / "build" / "asan" / "bin")
PATIENCE_S = float(os.environ.get("EW_PATIENCE_S", "60"))  # for what takes a second or two
COMMAND_S = 60
# What a sanitizer, or a broken invariant of ours, says on stderr.
ALARM = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|broken invariant")
KEPT_VARIABLES = ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
                  "TMPDIR")


class Failed(AssertionError):
    """A program did not do what was waited for."""


def wait_for(what, probe, seconds=PATIENCE_S):
    """What `probe` answers once it is true. Failing assertions in it are tried again, too."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        try:
            answer = probe()
            trouble = f"last answer: {answer!r}"
        except Failed as error:
            answer, trouble = None, str(error)
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:.0f} s for {what}; {trouble}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def free_port():
    """Below the range the system hands out by itself, so that it stays free between two starts."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def start_ticks(pid):
    """When a process was started: with its pid, what names it. None: there is no such process."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def children(pid):
    try:
        return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def freeze(pid):
    """Stops a process of ours where it is, so that it starts no other. Its children then are."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(f"process {pid} to stop", lambda: re.search(r"State:\t[TZ]", pathlib.Path(
        f"/proc/{pid}/status").read_text()))
    return [(child, start_ticks(child)) for child in children(pid)]


def role(pid):
    """The role of a working process of the agent: "core", "reader", "probe" or None."""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return words[words.index(b"--role") + 1].decode() if b"--role" in words else None


def preloaded(name, **env):
    """The environment of a program that one of the libraries beside the programs comes first in."""
    return {"LD_PRELOAD": str(BIN / f"{name}.so"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
            **{key: str(value) for key, value in env.items()}}


class Result:
    """How a command ended."""

    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def __repr__(self):
        return f"{' '.join(map(str, self.words))} -> {self.code}\n{self.out}{self.err}"

    def json(self):
        if self.code != 0:
            raise Failed(repr(self))
        return json.loads(self.out)


class Program:
    """A long-running program of ours, its output appended to a log."""

    def __init__(self, site, name, words):
        self.name, self.words, self.site = name, words, site
        self.log = site.dir / f"{name}.log"
        self.process = None
        self.env = {}  # beside the site's

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**self.site.env, **self.env},
                                            cwd=self.site.home)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def expect_running(self):
        if not self.running():
            code = self.process.returncode if self.process else "never started"
            raise Failed(f"{self.name} has ended ({code}): {self.log_tail(8)}")
        return True

    def log_tail(self, lines):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def preload(self, name, **env):
        """One of the libraries beside the programs comes first, when it is started next."""
        self.env.update(preloaded(name, **env))

    def stop(self):
        """Asks it to end; it must, and properly."""
        if not self.running():
            return
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} does not end") from None
        if code != 0:
            raise Failed(f"{self.name} ended with {code}: {self.log_tail(30)}")

    def kill(self):
        """kill -9, with the processes it started; those end by themselves, but when is open."""
        if not self.running():
            return
        family = freeze(self.pid)
        self.process.kill()
        self.process.wait()
        for pid, ticks in family:
            if ticks is not None and start_ticks(pid) == ticks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_for(f"the end of {pid}", lambda: start_ticks(pid) != ticks or ticks is None)


class Site:
    """One machine and its organisation, in a temporary folder."""

    def __init__(self):
        # Short: a socket's path has 107 bytes.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ewi-"))
        self.home = self.dir / "home"
        self.envs = self.home / "work" / "envs"  # found by environments.txt alone
        self.home.mkdir()
        self.socket = self.dir / "agent.sock"
        self.agent_config = self.dir / "agent.conf"
        self.configure()
        self.agent_state = self.dir / "agent"
        self.server_state = self.dir / "server"
        self.ready_file = self.dir / "server.ready"
        self.env = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        self.env["HOME"] = str(self.home)
        self.env.setdefault("TSAN_OPTIONS", "halt_on_error=1")
        self.env["ENVWARDEN_ADMIN_CONFIG"] = str(self.dir / "admin.conf")
        self.agent = Program(self, "agent", [
            BIN / "envwardend", "--user", "--foreground", "--config", self.agent_config,
            "--state-dir", self.agent_state, "--socket", self.socket])
        self.server = None
        self.organisation = "Proving Ground"
        self.agent_port = self.admin_port = self.token = None

    # --- commands

    def run(self, *words, stdin="", timeout=COMMAND_S, **env):
        words = [str(word) for word in words]
        if "/" not in words[0]:
            words[0] = str(BIN / words[0])
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True,
                                  errors="replace", timeout=timeout, env={**self.env, **env},
                                  cwd=self.home, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(words)}: takes more than {timeout} s") from None
        if ALARM.search(done.stderr):
            raise AlarmRaised(f"{' '.join(words)}: {done.stderr}")
        return Result(words, done.returncode, done.stdout, done.stderr)

    def must(self, *words, **options):
        result = self.run(*words, **options)
        if result.code != 0:
            raise Failed(repr(result))
        return result

    def configure(self, text="running = off\n"):
        """The agent's configuration; by default blind to what else runs as this account."""
        self.agent_config.write_text(text)

    def environments(self, *options, socket=None):
        """What `list` tells of this site: the account may have other ones, running even now."""
        listed = self.run("envwarden", "list", "--json", "--socket", socket or self.socket, *options)
        return [env for env in listed.json()["environments"]
                if env["prefix"].startswith(f"{self.dir}/")]

    def ew(self, command, *words, **options):
        """The member's command."""
        return self.run("envwarden", command, "--socket", self.socket, *words, **options)

    def admin(self, *words, **options):
        """The fleet manager's command."""
        return self.run("envwarden-admin", *words, **options)

    # --- the server

    def init_server(self):
        self.agent_port, self.admin_port = free_port(), free_port()
        told = self.must("envwarden-server", "init", "--state-dir", self.server_state,
                         "--organisation", self.organisation,
                         "--agent-address", f"127.0.0.1:{self.agent_port}",
                         "--admin-address", f"127.0.0.1:{self.admin_port}").out
        password = re.search(r"[Pp]assword[^:]*: *(\S+)$", told, re.MULTILINE)
        if not password:
            raise Failed(f"init tells no password: {told}")
        (self.dir / "password").write_text(password[1] + "\n")
        self.server = Program(self, "server", [
            BIN / "envwarden-server", "serve", "--state-dir", self.server_state,
            "--ready-file", self.ready_file])

    def start_server(self):
        if self.server is None:
            self.init_server()
        self.ready_file.unlink(missing_ok=True)
        self.server.start()
        wait_for("the server", lambda: self.server.expect_running() and self.ready_file.exists())

    def log_in(self):
        """What the first administrator does; here and with the admin command."""
        password = (self.dir / "password").read_text().strip()
        self.token = self.api("/tokens", {"user": "admin", "password": password})["token"]

    def log_in_command(self):
        self.must("envwarden-admin", "--server", f"https://127.0.0.1:{self.admin_port}", "--ca",
                  self.server_state / "ca.pem", "login", "--user", "admin",
                  "--password-file", self.dir / "password")

    def join_code(self, *words):
        code = self.must("envwarden-server", "join-code", "create", "--state-dir",
                         self.server_state, *words).out.strip()
        if not code or "\n" in code:
            raise Failed(f"not a join code alone: {code!r}")
        return code

    # --- the agent

    def status(self):
        """What `envwarden status` says, or nothing while nobody answers."""
        result = self.ew("status", "--json")
        return json.loads(result.out) if result.code in (0, 5) else None

    def start_agent(self):
        self.agent.start()
        wait_for("the agent", lambda: self.agent.expect_running() and self.status())

    def enrol(self):
        code = self.dir / "join-code"
        code.write_text(self.join_code("--uses", "1", "--expires", "1d") + "\n")
        result = self.ew("enroll", "--join-file", code, "--yes")
        if result.code != 0:
            raise Failed(repr(result))
        code.unlink()
        self.wait_connected()

    def wait_connected(self):
        return wait_for("the agent's connection", lambda: (self.status() or {}).get("connected"))

    def logging(self, state):
        """The organisation's switch: "on" or "off"."""
        self.api("/organisation", {"logging": state == "on"}, "PATCH")

    def start_everything(self):
        self.start_server()
        self.log_in()
        self.logging("on")
        self.start_agent()
        self.enrol()

    def worker(self, name):
        """The pid of the agent's core or reader, None while there is none."""
        if not self.agent.running():
            return None
        return next((pid for pid in children(self.agent.pid) if role(pid) == name), None)

    # --- what they know

    def record(self, *words):
        """Logs now, and waits until it is in the journal: what was on disk before is in it then."""
        result = self.ew("record", *words)
        if result.code != 0:
            raise Failed(repr(result))

    def agent_changes(self):
        return self.ew("history", "--json").json()["changes"]

    def api(self, path, body=None, method=None):
        """An answer of the admin API. A body is sent by POST."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.admin_port, timeout=COMMAND_S,
                                                 context=self.trust())
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        try:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path}: {error!r}") from None
        finally:
            connection.close()
        if answer.status not in (200, 201, 204):
            raise Failed(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def trust(self):
        context = ssl.create_default_context(cafile=str(self.server_state / "ca.pem"))
        context.check_hostname = False
        return context

    def server_changes(self):
        """Every change the server has, oldest first."""
        changes, after = [], ""
        while after is not None:
            page = self.api(f"/history?limit=1000{after}")
            changes += page["changes"]
            after = f"&after={urllib.parse.quote(page['next'])}" if "next" in page else None
        return changes[::-1]

    def wait_agent(self, what, check, seconds=PATIENCE_S):
        return wait_for(f"{what} at the agent", lambda: check(self.agent_changes()), seconds)

    def wait_server(self, what, check, seconds=PATIENCE_S):
        return wait_for(f"{what} at the server", lambda: check(self.server_changes()), seconds)

    # --- the end

    def programs(self):
        return [program for program in (self.agent, self.server) if program is not None]

    def close(self):
        """Ends what runs; says whether it ended as it should."""
        trouble = []
        for program in self.programs():
            try:
                program.stop()
            except Failed as error:
                trouble.append(str(error))
            alarm = ALARM.search(log := program.log_tail(100000))
            if alarm:
                trouble.append(f"{program.name} has raised an alarm:\n{excerpt(log, alarm)}")
        if trouble:
            raise Failed("; ".join(trouble))

    def print_logs(self):
        for log in sorted(self.dir.rglob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"--- {log} ({len(lines)} lines, the last 120)", file=sys.stderr)
            print("\n".join(lines[-120:]), file=sys.stderr)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def excerpt(log, alarm):
    """The alarm with what stands around it: the log's end may be long past it."""
    return log[max(0, alarm.start() - 500):alarm.start() + 3000]


class AlarmRaised(AssertionError):
    """A sanitizer spoke. Never waited for: it does not go away."""


class Case(unittest.TestCase):
    """A test with a site of its own. close() is part of the test: programs must end properly."""

    maxDiff = None

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        self.sites = []
        try:
            super().run(result)
        finally:
            failed = len(result.failures) + len(result.errors) > before
            for site in self.sites:
                for program in site.programs():
                    program.kill()
                if failed:
                    print(f"=== {self.id()}: kept in {site.dir}", file=sys.stderr)
                    site.print_logs()
                else:
                    site.remove()
        return result

    def setUp(self):
        self.site = self.new_site()

    def new_site(self):
        site = Site()
        self.sites.append(site)
        return site

    def tearDown(self):
        for site in self.sites:
            site.close()

    def assertRun(self, result, code, err=None, out=None):
        """A command ended with this code and said this (regular expressions)."""
        self.assertEqual(result.code, code, repr(result))
        if err is not None:
            self.assertRegex(result.err, err, repr(result))
        if out is not None:
            self.assertRegex(result.out, out, repr(result))
        return result


def main():
    unittest.main(module="__main__", verbosity=2, failfast=False)
