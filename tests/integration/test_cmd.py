"""cmd.exe's integration, and the command built for Windows, in wine.

The agent is a stand-in that serves a named pipe (pipe_agent.c). Skipped where there is no wine, or
what the preset "windows" builds is not there.

wine's cmd (8.0) has no doskey. A stand-in keeps the macros that the text defines, and what is typed
is written into a batch file as the console would expand it (the first word is the macro, $* all that
stands behind it). It also loses the status of a batch file that was called: so && behind a refusal
is not tried, nor are what a macro is at a prompt, AutoRun and ^C; nor a base's line, for want of a
Python.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import harness

EXE = pathlib.Path(os.environ.get("EW_WINDOWS_BIN") or harness.ROOT / "build" / "windows" / "bin")
COMPILER = "x86_64-w64-mingw32-gcc"
PIPE = "\\\\.\\pipe\\ew-test-cmd"
ACTIONS = {"ok": 0, "warn": 1, "block": 2}
NOTHING, UNREACHABLE = r"\A\Z", "agent not reachable"
RETRIES = 20  # a busy machine may miss the agent's deadline
BAT = """@echo off
if "%~1"=="activate" set "CONDA_PREFIX=%~2"
echo own: %*
"""
PROGRAM = '#include <stdio.h>\nint main(int n, char **v)\n{\n\tprintf("own:");\n' \
    '\tfor (int i = 1; i < n; i++)\n\t\tprintf(" %s", v[i]);\n\tputchar(10);\n\treturn 0;\n}\n'
DOSKEY = '#include <stdio.h>\n#include <windows.h>\nint main(void)\n{\n' \
    '\tFILE *f = fopen("C:\\\\macros", "a");\n\treturn !f || fprintf(f, "%s\\n", ' \
    'GetCommandLineA()) < 0 || fclose(f) != 0;\n}\n'
# (tool, what is typed behind its name, is it asked about)
TYPED = (
    ("conda", 'activate "{0}"', True), ("conda", 'activate --stack "{0}"', True),
    ("conda", 'run -p "{0}" python', True), ("conda", "list", False),
    ("mamba", 'activate "{0}"', True), ("micromamba", 'run -p "{0}" x', True),
    ("pixi", "list", False),
)
# (what is typed, what is printed)
LINES = (
    ('conda activate "{ok}" && echo second', 'own: activate "{ok}"\nsecond\n'),
    ('conda activate "{block}" & echo second', "second\n"),
    ('conda run -p "{block}" x | find ":"', ""),
    ('conda run -p "{ok}" x | find ":"', 'own: run -p "{ok}" x\n'),
    ('conda install "x>=1.2" "a&b" "(c)"', 'own: install "x>=1.2" "a&b" "(c)"\n'),
    ('conda install x)', 'own: install x)\n'),
    ('conda install "a^b"', 'own: install "a^b"\n'),
    ('conda', 'own:\n'),
)


def field(number, value):
    """One of a protobuf message; texts and messages are bytes."""
    def varint(n):
        return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def decision(action, prefix):
    """A frame of the local protocol (proto/local.proto): Envelope{id, decision}."""
    reason = field(1, "status") + field(3, "Ask IT") + field(6, action)
    text = field(1, action) + field(2, prefix) + field(3, prefix.rpartition("\\")[2]) + (
        field(5, reason) + field(6, "EW-TEST") if action else b"") + field(8, "agent")
    envelope = field(1, 1) + field(32, text)
    return struct.pack(">I", len(envelope)) + envelope


def fallback(blocked):
    """The file an agent leaves (docs/formats.md), with one environment."""
    texts, offsets = b"\0", {"": 52 + 36}
    for text in (blocked, "e-block", "EW-TEST", "Ask IT"):
        offsets[text] = 52 + 36 + len(texts)
        texts += text.encode() + b"\0"
    entry = struct.pack(">QQIIIII", 0, 0, ACTIONS["block"], *(offsets[t] for t in (
        blocked, "e-block", "EW-TEST", "Ask IT")))
    body = struct.pack(">QIII", 1, 0, 1, offsets[""]) + entry + texts
    return struct.pack(">8sII16s", b"EWFALLBK", 1, 32 + len(body), hashlib.sha256(
        body).digest()[:16]) + body


class Wine:
    """A Windows of its own. Its drive C: is the folder `c`."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "WINEDEBUG": "-all",
                    "WINEPREFIX": str(folder / "prefix"), "WINEDLLOVERRIDES": "mscoree,mshtml=",
                    "ENVWARDEN_SOCKET": PIPE}
        self.c = folder / "prefix" / "drive_c"
        (folder / "prefix").mkdir()
        subprocess.run(["wineserver", "-p"], env=self.env, check=True)  # until it is told to end
        self.run("cmd", "/c", "exit")

    def start(self, *words, **env):
        """Into files: wine's own services keep a pipe open that they find at their start."""
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
            return subprocess.Popen(["wine", *map(str, words)], env={**self.env, **env},
                                    cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=err)

    def run(self, *words, **env):
        code = self.start(*words, **env).wait(harness.COMMAND_S)
        out, err = ((self.folder / name).read_text(errors="replace").replace("\r", "")
                    for name in ("out", "err"))
        return harness.Result(words, code, out, err)

    def batch(self, text, **env):
        """Runs lines in cmd."""
        (self.c / "try.bat").write_text("@echo off\n" + text, newline="\r\n")
        return self.run("cmd", "/c", "C:\\try.bat", **env)

    def close(self):
        subprocess.run(["wineserver", "-k"], env=self.env, check=False)


class Cmd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="ewc-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.wine = Wine(cls.folder)
        cls.addClassCleanup(cls.wine.close)
        c = cls.wine.c
        (c / "Program Files" / "our tools").mkdir(parents=True)
        cls.command = "C:\\Program Files\\our tools\\envwarden.exe"
        cls.file = c / "Program Files" / "our tools" / "envwarden.exe"
        shutil.copy(EXE / "envwarden.exe", cls.file)
        (c / "tools").mkdir()
        for tool in ("conda", "mamba", "micromamba"):
            (c / "tools" / f"{tool}.bat").write_text(BAT, newline="\r\n")
        (cls.folder / "pixi.c").write_text(PROGRAM)
        cls.build(cls.folder / "pixi.c", c / "tools" / "pixi.exe")
        cls.build(harness.HERE / "pipe_agent.c", c / "agent.exe")
        for name in ACTIONS:
            (c / "my envs" / f"e-{name}" / "conda-meta").mkdir(parents=True)
            (c / "my envs" / f"e-{name}" / "conda-meta" / "history").write_text("")
            (c / f"{name}.answer").write_bytes(decision(ACTIONS[name], cls.prefix(name)))
        (cls.folder / "doskey.c").write_text(DOSKEY)
        (c / "system").mkdir()
        cls.build(cls.folder / "doskey.c", c / "system" / "doskey.exe")
        user = cls.wine.run("cmd", "/c", "echo %LOCALAPPDATA%").out.strip()
        local = c / user[3:].replace("\\", "/")
        cls.text = f"{user}\\envwarden-init.cmd"
        told = cls.wine.run(cls.command, "shell-init", "cmd")
        (local / "envwarden-init.cmd").write_text(told.out, newline="\r\n")
        cls.macros = cls.define("C:\\tools;")
        state = local / "envwarden" / "state"
        state.mkdir(parents=True)
        (state / "ew-test-cmd.fallback").write_bytes(fallback(cls.prefix("block")))

    @classmethod
    def define(cls, path):
        """What the text makes of the macros, as AutoRun reads it."""
        done = cls.wine.batch(f'set PATH={path}C:\\system;%PATH%\n"{cls.text}"\n')
        kept = cls.wine.c / "macros"
        lines = kept.read_text()
        kept.unlink()
        assert (done.out, done.err) == ("", ""), repr(done)
        return dict(re.findall(r"^doskey (\w+)=(.*?) *$", lines, re.MULTILINE))

    @staticmethod
    def build(source, program):
        subprocess.run([COMPILER, "-O1", "-Wall", "-Werror", "-o", program, source], check=True)

    @staticmethod
    def prefix(name):
        return f"C:\\my envs\\e-{name}"

    def serve(self, answers):
        """Has the pipe served; without answers, by somebody who never gives one."""
        words = [w for name in answers for w in (f"e-{name}", f"C:\\{name}.answer")]
        agent = self.wine.start("C:\\agent.exe", PIPE, *words)

        def end():
            agent.kill()
            agent.wait()
            harness.wait_for("the pipe to be gone", lambda: "not running" in self.ask("ok").err)
        self.addCleanup(end)
        harness.wait_for("the pipe", lambda: "not running" not in self.ask("ok").err)

    def ask(self, name, *words):
        return self.wine.run(self.command, "check", "--prefix", self.prefix(name), *words)

    def type(self, tool, words, lost):
        """A line at a prompt: (its status, what is active, what the tool was called with, stderr)"""
        line = self.macros[tool].replace("$*", words)
        for _ in range(RETRIES):
            done = self.wine.batch(f"set PATH=C:\\tools;%PATH%\n{line}\n"
                                   "echo status=%errorlevel% active=%CONDA_PREFIX%\n")
            if not lost or lost not in done.err:
                break
        end = re.search(r"^status=(-?\d+) active=(.*?) *$", done.out, re.MULTILINE)
        self.assertTrue(end, repr(done))
        own = re.findall(r"^own: ?(.*?) *$", done.out, re.MULTILINE)
        self.assertEqual(done.out.count("\n"), 1 + len(own), repr(done))
        return int(end[1]), end[2], own, done.err

    def expect(self, tool, words, name, may, said, lost=""):
        prefix = self.prefix(name)
        typed = words.format(prefix)
        status, active, own, err = self.type(tool, typed, lost)
        where = f"{tool} {typed}: {status}, {active!r}, {own}\n{err}"
        if may:
            self.assertEqual(own, [typed], where)
        else:
            self.assertEqual((own, active), ([], ""), where)
            self.assertNotEqual(status, 0, where)  # wine's makes 1 of what a batch file leaves
        self.assertRegex(err, said, where)

    def test_an_agent_that_answers(self):
        self.serve(ACTIONS)
        for tool, words, asked in TYPED:
            for name in ACTIONS:
                may = name != "block" or not asked
                said = NOTHING if may else "BLOCKED"
                if name == "warn" and (tool, words) == TYPED[0][:2]:
                    said = "WARNING"  # once a day
                self.expect(tool, words, name, may, said, lost=UNREACHABLE)

    def test_what_stands_behind(self):
        """What else is on a line runs once, and behind the tool."""
        self.serve(ACTIONS)
        for line, out in LINES:
            line, out = (t.format(ok=self.prefix("ok"), block=self.prefix("block"))
                         for t in (line, out))
            tool, _, words = line.partition(" ")
            line = self.macros[tool].replace("$*", words)
            for _ in range(RETRIES):
                done = self.wine.batch(f"set PATH=C:\\tools;%PATH%\n{line}\n")
                if UNREACHABLE not in done.err:
                    break
            self.assertEqual(re.sub(" *\n", "\n", done.out), out, f"{line}\n{done!r}")

    def test_the_macros(self):
        """Those in PATH as they can activate, the others as they would be found later."""
        names = ("conda", "mamba", "micromamba", "pixi")
        for path, ends in (("C:\\tools;", (".bat", ".bat", ".bat", "")), ("", ("", "", "", ""))):
            want = {n: f'call "{self.text}" {n}{end} $*' for n, end in zip(names, ends)}
            self.assertEqual(self.define(path), want)

    def test_a_refusal_has_status_4(self):
        self.serve(ACTIONS)
        for _ in range(RETRIES):
            done = self.wine.run("cmd", "/c", self.text, "conda.bat", "activate",
                                 self.prefix("block"))
            if UNREACHABLE not in done.err:
                break
        self.assertEqual(done.code, 4, repr(done))

    def test_nobody_answers(self):
        """What it left on disk decides; of others it is said once that nobody answered."""
        for name in ("ok", "warn"):
            if name == "warn":  # the same with one that hangs
                self.serve(())
            self.expect("conda", 'activate "{0}"', name, True, UNREACHABLE)
            self.expect("conda", 'activate "{0}"', "block", False, "BLOCKED")

    def test_no_command(self):
        self.file.rename(self.file.with_suffix(".gone"))
        self.addCleanup(self.file.with_suffix(".gone").rename, self.file)
        for tool, words, _ in TYPED:
            self.expect(tool, words, "block", True, "envwarden.exe")  # cmd's own words

    def test_the_command(self):
        """Its words and documents, as any other system's."""
        self.serve(ACTIONS)
        for name, code in (("ok", 0), ("warn", 0), ("block", 4)):
            done = self.ask(name, "--json", "--timeout-ms", "60000")
            self.assertEqual(done.code, code, repr(done))
            told = json.loads(done.out)
            self.assertEqual((told["prefix"], told["source"]), (self.prefix(name), "agent"))


def main():
    missing = [w for w in ("wine", COMPILER) if not shutil.which(w)]
    if not (EXE / "envwarden.exe").exists():
        missing.append(f"{EXE}/envwarden.exe")
    if missing:
        print("skipped: there is no", ", no ".join(missing))
        sys.exit(77)
    unittest.main(verbosity=1)


if __name__ == "__main__":
    main()
