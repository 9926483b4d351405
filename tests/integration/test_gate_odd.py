"""The gate where names, variables and programs are not what it would wish for: it says what it says of
others, and nothing that is written there is executed.

The site, the shells and the stand-ins are test_gate.py's. A name that a shell would read asks for a
file to be made; none may be there in the end.
"""

import concurrent.futures
import contextlib
import re
import shlex

import harness
import test_gate

BLOCKED = r"\Aenvwarden: .*BLOCKED and was not activated"
MADE = "MADE"
# Names that a shell, a list of lines or a message could stumble over.
NAMES = ("a  b", "it's", 'say "hi"', f"$(touch {MADE})", f"`touch {MADE}`", f"x;touch {MADE}",
         f"|touch {MADE}", "ünïcödé ☃", "two\nlines", "*", "{a,b}", "!!", "%PATH%", "\x1b[31m",
         "\\n", "~", "-x")


def quote(shell, text):
    """As somebody types it who knows the shell."""
    if shell == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if shell == "xonsh":
        return repr(text)
    text = shlex.quote(text) if text != "~" else "'~'"
    if shell == "tcsh":
        return text.replace("!", "\\!").replace("\n", "\\\n")
    return text


class Odd(test_gate.GateCase):
    def row(self, shell, line, **options):
        options = {"place": "bare", "integrated": True, **options}
        return test_gate.Row(shell, "conda", options.pop("active", ""), line.replace(
            "{", "{{").replace("}", "}}"), test_gate.HOOK[shell], **options)

    def prefix(self, status, row=None, place="base"):
        """What a row says is active, in place of an environment by its status."""
        return self.bare / "envs" / row.way if row and row.way else super().prefix(
            status, row, place)

    def go(self, shell, line, env=(), **options):
        """One activation with the agent's answer, which a busy machine may miss."""
        env = {"ENVWARDEN_SOCKET": str(self.site.socket), **dict(env)}
        for _ in range(test_gate.RETRIES):
            seen = self.activate(self.row(shell, line, **options), "block", env)
            if not re.search(test_gate.BUSY, seen.err):
                break
        for folder in (self.site.home, self.site.dir, *self.site.dir.glob("tmp*")):
            self.assertFalse((folder / MADE).exists(), f"{shell}: {line}: {seen!r}")
        return seen

    def make(self, bare, base=()):
        """Environments of these names in the bases, all of them blocked."""
        prefixes = [self.bare / "envs" / n for n in bare] + [self.base / "envs" / n for n in base]
        for prefix in prefixes:
            (prefix / "conda-meta").mkdir(parents=True)
            (prefix / "conda-meta" / "history").write_text("")
        self.begin()
        for prefix in prefixes:
            harness.wait_for(f"{prefix} to be known", lambda p=prefix: self.site.admin(
                "env", "set-status", p, "block", "--message", "Ask IT").code == 0)
        for prefix in prefixes:
            harness.wait_for(f"{prefix} to be blocked", lambda p=prefix: self.site.ew(
                "check", "--prefix", p, "--timeout-ms", "5000").code == 4)

    def expect_refused(self, shell, line, **options):
        seen = self.go(shell, line, **options)
        where = f"{shell}, {line!r}: {seen!r}"
        self.assertRegex(seen.err, BLOCKED, where)
        self.assertEqual(seen.err.count("envwarden: "), 1, where)
        self.assertNotRegex(seen.err, r"[\x00-\x09\x1b]", where)
        self.assertEqual(seen.stray, "", where)
        self.assertNotRegex(seen.out, "prefix=/", where)

    @contextlib.contextmanager
    def at_once(self):
        """A way to do some things beside each other."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = []
            yield lambda *words, **options: jobs.append(pool.submit(*words, **options))
            for job in jobs:
                job.result()

    def test_names(self):
        self.make(NAMES, NAMES[:8])
        with self.at_once() as do:
            for shell in test_gate.SHELLS:
                names = NAMES[:6] if shell == "xonsh" else NAMES  # slow to start
                for name in names:
                    if shell == "tcsh" and "\n" in name:
                        continue  # too much for it, with conda's own alias alone, too
                    do(self.expect_refused, shell, "conda activate " + quote(shell, name))
                for name in NAMES[:8]:
                    if shell == "xonsh" or shell == "tcsh" and re.search("['\"`]", name):
                        continue  # conda's own takes no path there, nor quotes
                    line = "conda activate " + quote(shell, str(self.base / "envs" / name))
                    do(self.expect_refused, shell, line, place="base", integrated=False)
            for shell in ("bash", "zsh", "fish", "tcsh"):
                for name in NAMES[:5]:
                    if shell != "tcsh" or '"' not in name:  # it can't even say that
                        do(self.expect_left, shell, name)

    def expect_left(self, shell, name):
        """A shell at its first prompt, with that active."""
        seen = self.go(shell, ":", typed=True, inherited=True, active=name)
        where = f"{shell}, {name!r}: {seen!r}"
        self.assertRegex(seen.err, test_gate.AFTERWARDS, where)
        if shell != "tcsh":  # conda's own alias has forgotten that something is active
            self.assertIn("it was deactivated", seen.err, where)
            self.assertNotRegex(seen.out, "prefix=/", where)

    def test_forged(self):
        """Variables, and programs that come first in PATH: the gate takes its own."""
        self.begin()
        other = self.site.dir / "other"
        other.mkdir()
        for name in ("envwarden", "timeout", "mamba"):
            (other / name).write_text(f"#!/bin/sh\ntouch {MADE} '{self.site.dir}/{MADE}'\n"
                                      f"echo 'touch {MADE}'\n")
            (other / name).chmod(0o755)
        forged = {name: f"x[$(touch {MADE})]`touch {MADE}`;touch {MADE}" for name in (
            "CONDA_EXE", "CONDA_SHLVL", "CONDA_PREFIX", "MAMBA_EXE", "MAMBA_ROOT_PREFIX",
            "CONDA_ENVS_DIRS", "CONDARC", "__envwarden_state", "__envwarden_wrapped",
            "__envwarden_passing", "__envwarden_seen", "__envwarden_aliases", "__envwarden_own",
            "__envwarden_tool", "__envwarden_command", "__envwarden_run", "__envwarden_present",
            "ENVWARDEN", "ENVWARDEN_COMMAND", "EW_BIN")}
        self.site.env["PATH"] = f"{other}:{self.site.env['PATH']}"
        with self.at_once() as do:
            for shell in test_gate.SHELLS:
                do(self.expect_refused, shell, "conda activate e-block", env=forged)
            # Stacked, and back again: what is refused leaves the shell as it was.
            for shell in test_gate.SHELLS:
                do(self.expect_stack, shell)
            for shell in ("bash", "dash", "zsh", "fish"):  # in others a refusal ends a script
                do(self.expect_stack, shell, place="base", integrated=False)

    def expect_stack(self, shell, **options):
        lines = ("conda activate e-ok", "conda activate e-block", "conda activate --stack e-warn",
                 "conda activate --stack e-block", "conda deactivate", "conda activate e-block")
        line = {"xonsh": "]\n_ran = ![", "tcsh": "\n"}.get(shell, "; ").join(lines)
        seen = self.go(shell, line, **options)
        where = f"{shell}, {options}: {seen!r}"
        self.assertRegex(seen.out, "prefix=.*/e-ok\n", where)
        self.assertEqual(len(re.findall("BLOCKED", seen.err)), 3, where)


if __name__ == "__main__":
    harness.main()
