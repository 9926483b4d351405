#!/usr/bin/env python3
"""The shell integration in nu.

    try_nu.py [--bin DIR] NU

NU is the program (nushell 0.115.1 was tried; no distribution we build on has it). The command that
would ask the agent is a stand-in which notes its calls and blocks what is called "bad", as are mamba
and pixi, which say what they were called with. Exit 0: all went as it should.
"""

import argparse
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

COMMAND = """#!/bin/sh
echo "$*" >> '{0}/calls'
case " $* " in *bad*) echo "envwarden: BLOCKED" >&2; exit 4 ;; esac
"""
TOOL = """#!/bin/sh
echo "{0} $*"
[ ! -p /dev/stdin ] || cat
"""
# As mamba's initialisation for nu defines it: one word.
MAMBA = 'def --env "{0} activate" [name: string] {{ $env.CONDA_PREFIX = $"/e/($name)" }}\n'

# What is typed in a script: (lines, what it prints, the words the agent is asked)
CASES = (
    ("micromamba activate fine\nprint $env.CONDA_PREFIX", "/e/fine\n",
     "--tool micromamba --typed -- activate fine"),
    ("try { mamba activate bad } catch {|e| print $e.msg }\nprint ($env.CONDA_PREFIX? | describe)",
     "envwarden: it was not activated\nnothing\n", "--tool mamba --typed -- activate bad"),
    ("mamba activate 'a b'\nprint $env.CONDA_PREFIX", "/e/a b\n",
     "--tool mamba --typed -- activate a b"),
    ("micromamba run -n fine x --y 'a b'", "micromamba run -n fine x --y a b\n",
     "--tool micromamba --typed -- run -n fine x --y a b"),
    ("try { mamba run -n bad x } catch { print no }", "no\n",
     "--tool mamba --typed -- run -n bad x"),
    ("'in' | pixi run cat", "pixi run cat\nin", "--tool pixi --typed -- run cat"),
    ("try { pixi shell -e bad } catch { print no }", "no\n",
     "--tool pixi --typed -- shell -e bad"),
    ("try { pixi shell-hook -e bad } catch { print no }", "no\n",
     "--tool pixi --typed -- shell-hook -e bad"),
    ("pixi list", "pixi list\n", None),
    ("mamba install x", "mamba install x\n", None),
)


class Nu:
    def __init__(self, program, folder, envwarden):
        self.program, self.folder, self.bad = program, folder, 0
        self.bin = folder / "tools of nu"
        self.bin.mkdir()
        self.command = folder / "envwarden"
        self.write(self.command, COMMAND.format(folder))
        for tool in ("mamba", "micromamba", "pixi"):
            self.write(self.bin / tool, TOOL.format(tool))
        text = subprocess.run([envwarden, "shell-init", "nu"], check=True, capture_output=True,
                              text=True).stdout
        (folder / "init.nu").write_text(text.replace(str(envwarden), str(self.command)))
        (folder / "mamba.nu").write_text(MAMBA.format("mamba") + MAMBA.format("micromamba"))

    @staticmethod
    def write(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def start(self, lines, early=True, **env):
        """Runs a script; (its status, stdout, stderr, the agent's questions)"""
        (self.folder / "calls").write_text("")
        script = self.folder / "script.nu"
        mamba = f"source '{self.folder}/mamba.nu'\n" if early else ""
        script.write_text(f"{mamba}source '{self.folder}/init.nu'\n{lines}\n")
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), **env}
        done = subprocess.run([self.program, "-n", script], env=env, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        calls = (self.folder / "calls").read_text().splitlines()
        return done.returncode, done.stdout, done.stderr, calls

    def expect(self, title, seen, expected):
        fine = seen == expected
        self.bad += not fine
        print(f"{'ok ' if fine else 'BAD'}  {title}")
        if not fine:
            print(f"     expected {expected!r}\n     seen     {seen!r}")

    def scripts(self):
        for lines, out, asked in CASES:
            seen = self.start(lines)
            self.expect(lines.splitlines()[0], (seen[1], seen[3]),
                        (out, [f"check --hook {asked}"] if asked else []))

    def without(self):
        """No mamba initialised; then no command of ours: all goes on, and nothing is said."""
        self.expect("no mamba", self.start("micromamba activate x", early=False)[:2],
                    (0, "micromamba activate x\n"))
        self.command.rename(self.folder / "gone")
        seen = self.start("micromamba activate bad\nprint $env.CONDA_PREFIX\npixi run bad")
        self.expect("the command is gone", seen, (0, "/e/bad\npixi run bad\n", "", []))
        self.command.write_text("no program")
        self.command.chmod(0o644)
        seen = self.start("micromamba activate bad\nprint $env.CONDA_PREFIX")
        self.expect("the command can't run", seen[:3], (0, "/e/bad\n", ""))
        self.command.unlink()
        (self.folder / "gone").rename(self.command)

    def prompts(self):
        """At a prompt: asked once for each change, and not again about what was gated."""
        config = self.folder / "config.nu"
        ours = f"source '{self.folder}/init.nu'\n"
        config.write_text(
            "$env.config.show_banner = false\n$env.PROMPT_COMMAND = {|| '' }\n"
            "$env.PROMPT_COMMAND_RIGHT = {|| '' }\n$env.PROMPT_INDICATOR = 'ready> '\n"
            "$env.config.hooks.env_change.CONDA_PREFIX = [{|| 'x' | save -a others }]\n"
            f"source '{self.folder}/mamba.nu'\n{ours}")
        (self.folder / "calls").write_text("")
        lines = ["true", "$env.CONDA_PREFIX = '/e/a'", "true", "micromamba activate b", "true",
                 "$env.CONDA_PREFIX = '/e/bad'", "true", "hide-env CONDA_PREFIX", "true", "exit"]
        text = self.type(lines, "--config", config, "-i")
        asked = (self.folder / "calls").read_text().splitlines()
        others = (self.folder / "others").read_text()
        self.expect("prompts", (asked, others), (
            ["check --hook --active --prefix /e/a",
             "check --hook --tool micromamba --typed -- activate b",
             "check --hook --active --prefix /e/bad"], "xxxxx"))
        self.expect("what it says there", ("BLOCKED" in text, "leave it" in text), (True, True))

    def type(self, lines, *words):
        """What it shows at a terminal that tells where its cursor is, as nu wants to know."""
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(self.program, [str(self.program), *map(str, words)], {
                "PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), "TERM": "xterm"})
        shown, lines, end = b"", list(lines), time.monotonic() + 60
        drawn = 0
        while time.monotonic() < end:
            quiet = not select.select([master], [], [], 1)[0]
            if not quiet:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                os.write(master, b"\x1b[1;1R" * data.count(b"\x1b[6n"))
                shown += data
            elif lines and shown.count(b"ready> ") > drawn:
                drawn = shown.count(b"ready> ")
                os.write(master, lines.pop(0).encode() + b"\r")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)
        return shown.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(description="the shell integration in nu")
    parser.add_argument("nu", type=pathlib.Path)
    parser.add_argument("--bin", default=os.environ.get("EW_BIN", ROOT / "build/asan/bin"))
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ewn-") as folder:
        programs = pathlib.Path(words.bin).absolute()  # as shell-init writes it
        nu = Nu(words.nu.absolute(), pathlib.Path(folder), programs / "envwarden")
        nu.scripts()
        nu.without()
        nu.prompts()
    sys.exit(nu.bad > 0)


if __name__ == "__main__":
    main()
