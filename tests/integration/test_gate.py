"""The gate: every shell and every way to activate, whatever the agent does.

Each cell of the matrix is an activation in a shell of its own, against a real agent or what is left
of one. What is seen is put into a table, which docs/gate.md carries: `test_gate.py --write` writes
it there, the test compares. ROWS has one entry for a shell, a tool and a way; a new row needs what
the shell reads before (`init`), and the line that activates (`line`).

Rows of the base's line run scripts in shells that know nothing of envwarden. Rows of the shell
integration have a base without the pieces. Those at a prompt type to an interactive shell.

The bases are stand-ins (gate_base.py), as are mamba, micromamba and pixi (gate_tools.py): they speak
the protocols of the real ones, with this machine's python3 and sh. With EW_CONDA_BASE, a copy of that
installation of a real conda is used instead of both.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import gate_base
import gate_tools
import harness
import terminal

DOCS = harness.ROOT / "docs" / "gate.md"
BEGIN, END = "<!-- matrix: by tests/integration/test_gate.py --write -->", "<!-- end of matrix -->"
STATUSES = ("ok", "warn", "block")
SLOW_S = 0.03  # well within the deadline, there and back
HANGS_S = 30  # a shell that took so long would have waited for somebody who never answers
# A busy machine may miss the agent's deadline, when what it left on disk decides the same. There
# xonsh (0.13), too, may lose what $(...) has read.
RETRIES = 20

# --- how shells are spoken to ---------------------------------------------------------------------

# name: (program and options, how its status is called)
SHELLS = {
    "bash": ("bash --norc --noprofile", "$?"),
    "dash": ("dash", "$?"),
    "zsh": ("zsh -f", "$?"),
    "fish": ("fish --no-config", "$status"),
    "tcsh": ("tcsh -f", "$status"),
    "xonsh": ("xonsh --no-rc", None),
}
HOOK = {
    "bash": "eval \"$('{base}/bin/conda' shell.bash hook)\"",
    "dash": "eval \"$('{base}/bin/conda' shell.dash hook)\"",
    "zsh": "eval \"$('{base}/bin/conda' shell.zsh hook)\"",
    "fish": "'{base}/bin/conda' shell.fish hook | source",
    "tcsh": "eval \"`'{base}/bin/conda' shell.tcsh hook`\"",
    "xonsh": "from subprocess import getoutput\nexecx(getoutput(\"'{base}/bin/conda' shell.xonsh hook\"))",
}


INTEGRATION = {
    "bash": "eval \"$(cat '{file}')\"",
    "dash": "eval \"$(cat '{file}')\"",
    "zsh": "eval \"$(cat '{file}')\"",
    "fish": "cat '{file}' | source",
    "tcsh": "eval \"`cat '{file}'`\"",
    "xonsh": "execx(open('{file}').read())",
}
EVALUATED = {
    "bash": "eval \"$(pixi shell-hook -s bash)\"",
    "dash": "eval \"$(pixi shell-hook -s bash)\"",
    "zsh": "eval \"$(pixi shell-hook -s zsh)\"",
    "fish": "pixi shell-hook -s fish | source",
    "tcsh": "eval \"`pixi shell-hook -s csh`\"",
    "xonsh": "execx($(pixi shell-hook -s xonsh))",
}
EXPORT = {
    "bash": "export {}='{}'", "dash": "export {}='{}'", "zsh": "export {}='{}'",
    "fish": "set -gx {} '{}'", "tcsh": "setenv {} '{}'",
    "xonsh": "${} = '{}'",
}
REPORT = {shell: f'echo "status={status} prefix=$CONDA_PREFIX"' for shell, (_, status) in SHELLS.items()}
XONSH = "print(f\"status={{{}}} prefix={{__xonsh__.env.get('CONDA_PREFIX', '')}}\")"
# Interactive ones, and how they get their prompt.
TYPED = {
    "bash": ("bash --noprofile --noediting --rcfile {rc} -i", "PS1='ready> '"),
    "dash": ("env ENV={rc} dash -i", "PS1='ready> '"),
    "zsh": ("env ZDOTDIR={folder} zsh -d -i +Z", "PROMPT='ready> '\nunsetopt prompt_sp prompt_cr"),
    "fish": ("fish --no-config -i -C 'source {rc}'",
             "function fish_prompt; set -g n (math $n + 1); echo -n \"ready$fish_pid.$n> \"; end\n"
             "function fish_title; end"),
    "tcsh": ("tcsh -f -i", "set prompt = 'ready> '"),
    "xonsh": ("xonsh --rc {rc} -i", "$PROMPT = 'ready> '"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    shell: str
    tool: str
    way: str  # how it is activated, as a person would type it; ENV stands for the environment
    line: str  # the same for the test: {name}, {prefix}
    init: str  # what the shell has read before: {base}
    runs: bool = False  # a program is run in the environment; the shell stays as it was
    of_base: bool = False  # the environment is the base itself
    place: str = "base"  # whose environments: of the base with pieces, the bare one, or of pixi
    integrated: bool = False  # envwarden's shell integration is read after init
    typed: bool = False  # at a prompt; else a script
    inherited: bool = False  # CONDA_PREFIX is in the environment the shell starts with
    blind: bool = False  # the shell has no way to look at a prompt
    refused: int | None = 1  # the status after a refusal; None: not told

    def drops_status(self):
        """What conda's own functions lose: fish that of what it evaluates, tcsh after a switch."""
        return self.refused is None or (self.tool == "conda" and not self.integrated and
                                        self.shell == ("tcsh" if self.runs else "fish"))


def conda_rows():
    for shell in SHELLS:
        init = HOOK[shell]
        yield Row(shell, "conda", "conda activate ENV", "conda activate {name}", init)
        yield Row(shell, "conda", "conda activate PATH", "conda activate '{prefix}'", init)
        if shell != "xonsh":  # conda's own function wants a name there
            yield Row(shell, "conda", "conda activate", "conda activate", init, of_base=True)
        yield Row(shell, "conda", "conda run -n ENV",
                  "conda run -n {name} printenv CONDA_PREFIX", init, runs=True)


def integration_rows():
    """Scripts: the shell integration alone."""
    here = {"place": "bare", "integrated": True, "refused": 4}
    for shell in SHELLS:
        yield Row(shell, "conda, shell integration", "conda activate ENV", "conda activate {name}",
                  HOOK[shell], **here)
        yield Row(shell, "conda, both", "conda activate ENV", "conda activate {name}",
                  HOOK[shell], integrated=True, refused=None if shell == "fish" else 1)
        for tool in ("mamba", "micromamba"):
            init = "{" + tool + "}"
            yield Row(shell, tool, f"{tool} activate ENV", f"{tool} activate {{name}}", init,
                      **here)
            yield Row(shell, tool, f"{tool} run -n ENV",
                      f"{tool} run -n {{name}} printenv CONDA_PREFIX", init, runs=True, **here)
        here_pixi = {**here, "place": "pixi"}
        yield Row(shell, "pixi", "pixi run", "pixi run printenv CONDA_PREFIX", "", runs=True,
                  **here_pixi)
        yield Row(shell, "pixi", "pixi shell-hook, evaluated", EVALUATED[shell], "",
                  **{**here_pixi, "refused": None})
        if shell != "tcsh":  # not among those that pixi starts
            yield Row(shell, "pixi", "pixi shell", "pixi shell", "", typed=True, **here_pixi)


def prompt_rows():
    """What nobody is asked about before: seen at the next prompt."""
    here = {"integrated": True, "typed": True}
    for shell in SHELLS:
        if shell in ("bash", "zsh"):
            yield Row(shell, "conda", "source activate ENV",
                      "source '{base}/bin/activate' {name}", HOOK[shell], **here)
        bare = {**here, "place": "bare", "refused": None, "blind": shell == "dash"}
        yield Row(shell, "any", "a shell in an active environment", EXPORT[shell].format(
            "CONDA_SHLVL", "1"), HOOK[shell], inherited=True, **bare)
        yield Row(shell, "any", "CONDA_PREFIX exported", EXPORT[shell].format(
            "CONDA_PREFIX", "{prefix}"), "", **bare)


ROWS = [*conda_rows(), *integration_rows(), *prompt_rows()]

# --- what is seen ---------------------------------------------------------------------------------

NOTHING = r"\A\Z"
WARNED = r"\Aenvwarden: .*WARNING"
BLOCKED = r"\Aenvwarden: .*BLOCKED"
UNREACHABLE = r"envwarden: agent not reachable"
BUSY = UNREACHABLE + "|The agent was still reading it"
AFTERWARDS = r"BLOCKED and is active all the same"
# A column: (title, agent's state, the environment's status, what is said, is it activated).
COLUMNS = (
    ("allow", "up", (("ok", NOTHING, True),)),
    ("warn", "up", (("warn", WARNED, True),)),
    ("block", "up", (("block", BLOCKED, False),)),
    ("agent down", "down", (("ok", UNREACHABLE, True), ("block", BLOCKED, False))),
    ("agent hangs", "hung", (("ok", UNREACHABLE, True), ("block", BLOCKED, False))),
    ("agent slow", "slow", (("ok", NOTHING, True), ("block", BLOCKED, False))),
    ("no command", "missing", (("ok", NOTHING, True), ("block", NOTHING, True))),
)
GATED, UNGATED = "gated", "none"
TOLD, UNDONE = "warned after the fact", "deactivated after the fact"


class Seen:
    """How one activation went."""

    def __init__(self, row, code, out, err, prefix):
        self.code, self.out, self.err = code, out, err
        end = re.search(r"^status=(\d+) prefix=(.*)$", out, re.MULTILINE)
        self.status = int(end[1]) if end else code  # tcsh ends a script where conda refuses
        told = out[:end.start()] if end else out
        if row.typed:
            self.err = "\n".join(re.findall(r"^(?:# )?(envwarden: .*)$", out, re.MULTILINE))
            told = ""
        if row.runs:
            self.active = told == f"{prefix}\n"
            self.stray = "" if self.active else told
        else:
            self.active, self.stray = bool(end) and end[2] == str(prefix), told

    def __repr__(self):
        return f"status {self.status}, active {self.active}\n{self.out}--- stderr\n{self.err}"


def as_xonsh(line, typed):
    """Its scripts know the status of what they keep only."""
    if typed:
        return [line, XONSH.format("__xonsh__.env['LAST_RETURN_CODE']")]
    if line.startswith("execx("):
        return [line, XONSH.format(0)]
    return [f"_ran = ![{line}]", XONSH.format("_ran.returncode")]


class Slow(threading.Thread):
    """Somebody between the command and the agent who takes his time."""

    def __init__(self, path, to):
        super().__init__(daemon=True)
        self.to = str(to)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self.to)
            back = threading.Thread(target=self.pass_on, args=(server, client), daemon=True)
            back.start()
            self.pass_on(client, server)
            back.join()

    @staticmethod
    def pass_on(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                time.sleep(SLOW_S)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept, which close does not
        self.join()
        self.listener.close()


class GateCase(harness.Case):
    """One site for all: a base with environments of every status."""

    def setUp(self):
        super().setUp()
        site = self.site
        self.base = self.make_base(site.home / "base")
        self.bare = self.make_base(site.home / "bare")
        for prefix in self.prefixes():
            (prefix / "conda-meta").mkdir(parents=True)
            (prefix / "conda-meta" / "history").write_text("")
        for status in STATUSES:
            (self.workspace(status) / "pixi.toml").write_text("")
        (site.home / ".conda").mkdir()
        (site.home / ".conda" / "environments.txt").write_text(
            "".join(f"{p}\n" for p in (self.base, *self.prefixes())))
        site.env["CONDA_AUTO_ACTIVATE"] = "false"
        self.tools = site.dir / "tools"
        gate_tools.make_tools(self.tools, self.bare)
        # A command of its own, so that it can go missing.
        self.command = site.dir / "bin" / "envwarden"
        self.command.parent.mkdir()
        shutil.copy(harness.BIN / "envwarden", self.command)
        self.place()
        for shell in SHELLS:  # once, as the command will be gone in some rows
            text = site.must(self.command, "shell-init", {"dash": "posix"}.get(shell, shell)).out
            (site.dir / f"init.{shell}").write_text(text)

    @staticmethod
    def make_base(base):
        """A stand-in, or a real conda, moved: its own paths are in two small files."""
        if "EW_CONDA_BASE" not in os.environ:
            return gate_base.make_base(base)
        real = pathlib.Path(os.environ["EW_CONDA_BASE"])
        shutil.copytree(real, base, symlinks=True, ignore=shutil.ignore_patterns("envs"))
        (base / "envs").mkdir()
        gate_base.make_record(base)
        program = base / "bin" / "conda"
        program.write_text(program.read_text().replace(str(real), str(base)))
        gate_base.make_activate(base)
        return base

    def place(self):
        self.site.must(self.command, "hooks", "place", "--base", self.base)

    def workspace(self, status):
        return self.site.home / f"w-{status}"

    def prefix(self, status, row=None, place="base"):
        if row and row.of_base:
            return self.base
        place = row.place if row else place
        if place == "pixi":
            return self.workspace(status) / ".pixi" / "envs" / "default"
        return (self.bare if place == "bare" else self.base) / "envs" / f"e-{status}"

    def prefixes(self):
        return [self.prefix(s, place=p) for p in ("base", "bare", "pixi") for s in STATUSES]

    # --- the agent's states

    def begin(self):
        site = self.site
        site.start_everything()
        site.log_in_command()
        prefixes = {str(self.base), *map(str, self.prefixes())}
        harness.wait_for("all environments at the server", lambda: prefixes <= {
            e["prefix"] for e in site.api("/environments")["environments"]})
        for status in ("warn", "block"):
            for place in ("base", "bare", "pixi"):
                self.set_status(self.prefix(status, place=place), status)

    def set_status(self, prefix, status):
        words = [] if status == "ok" else ["--message", "Ask IT"]
        self.assertRun(self.site.admin("env", "set-status", prefix, status, *words), 0)
        code = 4 if status == "block" else 0
        harness.wait_for(f"{status} at the agent", lambda: self.site.ew(
            "check", "--prefix", prefix, "--timeout-ms", "5000").code == code)

    def socket_of(self, state):
        """A socket as the state has it, and beside it what the agent has left."""
        site = self.site
        if state == "up":
            return site.socket
        path = site.dir / f"{state}.sock"
        shutil.copy(f"{site.socket}.fallback", f"{path}.fallback")
        if state == "hung" and not path.exists():
            self.silent = socket.socket(socket.AF_UNIX)
            self.silent.bind(str(path))
            self.silent.listen(512)  # accepted by the system, read by nobody
            self.addCleanup(self.silent.close)
        elif state == "slow" and not path.exists():
            self.addCleanup(Slow(path, site.socket).close)
        return path

    # --- one activation

    def activate(self, row, status, env):
        prefix = self.prefix(status, row)
        base = self.bare if row.place == "bare" else self.base
        values = {"base": base, "name": prefix.name, "prefix": prefix}
        for tool in ("mamba", "micromamba"):
            values[tool] = gate_tools.mamba_init(row.shell, tool, self.tools, self.bare)
        init = [row.init.format(**values)]
        if row.integrated:
            init.append(INTEGRATION[row.shell].format(file=self.site.dir / f"init.{row.shell}"))
        if row.shell == "tcsh" and not row.inherited:  # an error there, if it is not set
            init.insert(0, "setenv CONDA_PREFIX ''")
        lines = [row.line.format(**values), REPORT[row.shell]]
        if row.shell == "xonsh":
            lines = as_xonsh(lines[0], row.typed)
        env = {**self.site.env, **env, "PATH": f"{self.tools}:{self.site.env['PATH']}"}
        if row.inherited:
            env.update(CONDA_PREFIX=str(prefix), CONDA_SHLVL="1")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.site.dir) as folder:
            env["XDG_CACHE_HOME"] = folder
            cwd = self.workspace(status) if row.place == "pixi" else self.site.home
            run = self.type if row.typed else self.script
            code, out, err = run(row, init, lines, pathlib.Path(folder), env, cwd)
        self.assertLess(time.monotonic() - began, HANGS_S)
        self.assertNotRegex(out + err, harness.ALARM)
        return Seen(row, code, out, err, prefix)

    def script(self, row, init, lines, folder, env, cwd):
        (folder / "script").write_text("\n".join(init + lines) + "\n")
        done = subprocess.run([*SHELLS[row.shell][0].split(), folder / "script"], env=env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=harness.COMMAND_S, cwd=cwd, check=False)
        return done.returncode, done.stdout, done.stderr

    def type(self, row, init, lines, folder, env, cwd):
        words, prompt = TYPED[row.shell]
        rc = folder / (".zshrc" if row.shell == "zsh" else "rc")
        rc.write_text("\n".join([*init, prompt]) + "\n")
        words = shlex.split(words.format(rc=rc, folder=folder))
        env = {**env, "GATE_TEST_SHELL": f"{folder}/start"}
        (folder / "start").write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
        (folder / "start").chmod(0o755)
        shown = terminal.Terminal(words, env, cwd, harness.COMMAND_S)
        try:
            if row.shell == "tcsh":  # reads no file of ours
                shown.typed_at = -1
                shown.type(f"source {rc}")
            for line in [*lines, "exit", *["exit"] * (row.way == "pixi shell")]:
                shown.type(line)
                if line == "exit" and row.way == "pixi shell" and "not activated" in shown.text:
                    break
            code = shown.finish()
        finally:
            shown.close()
        return code, shown.text, ""


class Gate(GateCase):
    def expect(self, row, column, status, said, active):
        """Whether it went as it should; a machine that is too busy gets another chance."""
        title, state, _ = column
        env = {"ENVWARDEN_SOCKET": str(self.sockets[state])}
        for _ in range(RETRIES):
            seen = self.activate(row, status, env)
            lost = row.shell == "xonsh" and active and not seen.active
            if not lost and (re.search(said, seen.err) or not re.search(BUSY, seen.err)):
                break
        self.assertLess(len(re.findall(r'^envwarden: (?:"|agent)', seen.err, re.MULTILINE)), 2,
                        f"said twice: {row}, {title}, {status}: {seen!r}")
        where = f"{row.shell}, {row.way}, {title}, {status}: {seen!r}"
        self.assertEqual(seen.stray, "", where)
        if active or re.search(AFTERWARDS, seen.err):
            self.assertEqual(seen.status, 0, where)
        elif not row.drops_status() and not seen.active:
            self.assertEqual(seen.status, row.refused, where)
        return seen, bool(re.search(said, seen.err)), where

    def cell(self, row, column):
        """What a cell of the table says."""
        words, why = set(), []
        for status, said, active in column[2]:
            seen, told, where = self.expect(row, column, status, said, active)
            why.append(where)
            if row.blind:
                self.assertTrue(seen.active and not seen.err, where)
                words.add(UNGATED)
            elif status != "block":
                self.assertTrue(seen.active, where)
                self.assertTrue(told, where)
                words.add("" if status == "ok" else "warned")
            elif re.search(AFTERWARDS, seen.err):
                words.add(TOLD if seen.active else UNDONE)
            elif not seen.active:
                self.assertTrue(told, where)
                words.add(GATED)
            else:
                words.add(UNGATED)
        return ", ".join(sorted(words - {""})) or "activated", "\n".join(why)

    # --- all of them

    def matrix(self):
        """{(row, column title): (the cell, how it came about)}"""
        table = {}
        self.sockets = {c[1]: self.socket_of(c[1] if c[1] != "missing" else "up") for c in COLUMNS}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            def fill(rows, columns):
                jobs = {(r, c[0]): pool.submit(self.cell, r, c) for r in rows for c in columns}
                table.update({key: job.result() for key, job in jobs.items()})

            present = [c for c in COLUMNS if c[1] != "missing"]
            missing = [c for c in COLUMNS if c[1] == "missing"]
            fill([r for r in ROWS if not r.of_base], present)
            for status in STATUSES:  # the base has one at a time
                self.set_status(self.base, status)
                self.sockets = {c[1]: self.socket_of(c[1]) for c in present}
                for title, state, cells in present:
                    part = [(title, state, tuple(c for c in cells if c[0] == status))]
                    if part[0][2]:
                        self.merge(table, fill, part)
            self.sockets["missing"] = self.site.socket
            self.command.unlink()
            fill(ROWS, missing)
        return table

    def merge(self, table, fill, part):
        """One status of the base's cells; the cell says what all of them have shown."""
        rows = [r for r in ROWS if r.of_base]
        before = {(r, part[0][0]): table.get((r, part[0][0])) for r in rows}
        fill(rows, part)
        for key, old in before.items():
            if old and old[0] != "activated":
                table[key] = old

    def test_matrix(self):
        self.begin()
        text = as_markdown(self.matrix())
        print(text)
        if "--write" in ARGUMENTS:
            write(text)
        self.assertIn(text, DOCS.read_text(), "docs/gate.md is behind: test_gate.py --write")

    def test_nobody_waits_twice(self):
        """Where the base asks by itself, the shell integration does not."""
        self.begin()
        words = ("check", "--hook", "--tool", "conda", "--typed", "--", "activate",
                 self.prefix("block"))
        env = {"ENVWARDEN_SOCKET": str(self.site.socket)}
        for base, code, said in ((self.base, 0, NOTHING), (self.bare, 4, BLOCKED)):
            conda = str(base / "bin" / "conda")
            self.assertRun(self.site.run(self.command, *words, CONDA_EXE=conda, **env), code, said)
        self.assertRun(self.site.run(self.command, *words, **env), 4, BLOCKED)
        # Another Python came into the base, which the pieces are not placed in yet.
        (self.base / "lib" / "python3.99" / "site-packages").mkdir(parents=True)
        self.assertRun(self.site.run(self.command, *words, CONDA_EXE=str(
            self.base / "bin" / "conda"), **env), 4, BLOCKED)

    def test_an_evaluated_stdout_stays_empty(self):
        """What a shell would evaluate, in every form conda has."""
        self.begin()
        env = {"ENVWARDEN_SOCKET": str(self.site.socket)}
        for shell in ("posix", "bash", "zsh", "fish", "csh", "tcsh", "xonsh", "cmd.exe",
                      "powershell", "posix+json"):
            for words in ((self.prefix("block"),), ("--stack", "e-block"), ("e-block", "--dev")):
                done = self.site.run(self.base / "bin" / "conda", f"shell.{shell}", "activate",
                                     *words, **env)
                self.assertRun(done, 1, BLOCKED, NOTHING)
        for closed in ("<&-", "2>&-", "<&- 2>&-", ">&-", "<&- >&- 2>&-"):
            done = self.site.run("/bin/sh", "-c", f'"$@" {closed}', "sh", self.base / "bin" / "conda",
                                 "shell.posix", "activate", self.prefix("block"), **env)
            self.assertRun(done, 1, NOTHING if "2>" in closed else BLOCKED, NOTHING)
        for words in (("hook",), ("deactivate",), ("activate", "--help")):
            done = self.site.run(self.base / "bin" / "conda", "shell.posix", *words, **env)
            self.assertNotIn("envwarden", done.err, repr(done))


def as_markdown(table):
    """Ways that fare alike in all shells share a line."""
    lines = ["| tool | way | shells | " + " | ".join(c[0] for c in COLUMNS) + " |",
             "|---" * (3 + len(COLUMNS)) + "|"]
    groups = {}
    for row in ROWS:
        cells = tuple(table[row, c[0]][0] for c in COLUMNS)
        groups.setdefault((row.tool, row.way, cells), []).append(row.shell)
    for (tool, way, cells), shells in groups.items():
        lines.append(" | ".join([f"| {tool}", f"`{way}`", ", ".join(shells), *cells]) + " |")
    return "\n".join(lines) + "\n"


def write(text):
    before, _, rest = DOCS.read_text().partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")


ARGUMENTS = {word for word in sys.argv[1:] if word == "--write"}

if __name__ == "__main__":
    sys.argv = [word for word in sys.argv if word not in ARGUMENTS]
    harness.main()
