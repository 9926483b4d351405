"""The shell integration at prompts: asks once where something became active unasked, costs nothing
else, and leaves the shell as it was.

The command is a stand-in that notes its calls and ends with the status it is told to.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import unittest

import harness
import terminal

COMMAND = '''#!/bin/sh
echo "$*" >> '{0}/calls'
exit "$(cat '{0}/answer')"
'''
NUMBERED = ('function fish_prompt; set -g n (math $n + 1); echo -n "ready$fish_pid.$n> "; end\n'
            "function fish_title; end")


class Shell:
    def __init__(self, words, prompt, init, set_, unset, status, function):
        self.words, self.prompt, self.init, self.status = words, prompt, init, status
        self.set, self.unset, self.function = set_, unset, function


POSIX = "conda() {{ case $1 in activate) export CONDA_PREFIX=$2;; *) unset CONDA_PREFIX;; esac; }}"
XONSH = """def _conda(args):
    if args[0] == 'activate':
        $CONDA_PREFIX = args[1]
    elif 'CONDA_PREFIX' in __xonsh__.env:
        del $CONDA_PREFIX
aliases['conda'] = _conda"""
SHELLS = {
    "bash": Shell("bash --noprofile --noediting --rcfile {rc} -i", "PS1='ready> '",
                  "eval \"$(cat {init})\"", "export {}={}", "unset {}", "$?", POSIX),
    "zsh": Shell("env ZDOTDIR={folder} zsh -d -i +Z",
                 "PROMPT='ready> '\nunsetopt prompt_sp prompt_cr", "eval \"$(cat {init})\"",
                 "export {}={}", "unset {}", "$?", POSIX),
    "fish": Shell("fish --no-config -i -C 'source {rc}'", NUMBERED, "cat {init} | source",
                  "set -gx {} {}", "set -e {}", "$status",
                  "function conda; switch $argv[1]; case activate; set -gx CONDA_PREFIX $argv[2];"
                  " case '*'; set -e CONDA_PREFIX; end; end"),
    "tcsh": Shell("tcsh -f -i", "set prompt = 'ready> '", "eval \"`cat {init}`\"",
                  "setenv {} {}", "unsetenv {}", "$status",
                  "alias conda 'source {folder}/conda.csh'"),
    "xonsh": Shell("xonsh --rc {rc} -i", "$PROMPT = 'ready> '", "execx(open('{init}').read())",
                   "${} = '{}'", "del ${}", "$LAST_RETURN_CODE", XONSH),
}
# What people do to their shells. Read behind the tool's function and before our text.
ODD = {
    "bash": ("IFS=0123456789", "IFS=e", "IFS=", "set -Cf; shopt -s failglob nullglob extdebug",
             "set -o posix", "readonly tool=a state=b before=c definition=d",
             "readonly PROMPT_COMMAND=:", "readonly -a PROMPT_COMMAND=(:)",
             "local() {{ echo odd; }}; command() {{ echo odd; }}; test() {{ echo odd; }}",
             "alias conda='conda ' pixi='pixi -q' command=false local=false test=false",
             "alias declare=false set=false shopt=false return=false echo=false '[=false'",
             "alias true='echo odd' export='echo odd' unset='echo odd'; set -o posix",
             "trap : DEBUG; trap : ERR; trap : RETURN; set -ET", "unset HOME; export LANG=C"),
    "zsh": ("IFS=0123456789; setopt sh_word_split", "IFS=e", "IFS=", "emulate sh", "emulate ksh",
            "setopt ksh_arrays warn_create_global warn_nested_var no_nomatch null_glob no_clobber",
            "readonly precmd_functions", "readonly tool=a before=b run=c",
            "command() {{ echo odd }}; test() {{ echo odd }}", "alias conda='conda ' pixi='pixi -q'",
            "alias -g pixi='pixi -q' run=odd", "emulate csh",
            "alias typeset=false local=false emulate=false setopt=false return=false print=false "
            "command=false whence=false break=false continue=false zmodload=false", "trap : DEBUG; trap : ZERR", "unset HOME"),
    "fish": ("alias pixi='pixi -q'", "set -g __envwarden_seen a b c", "set -e HOME"),
    "tcsh": ("set noclobber; set noglob; set nonomatch", "alias command false; alias test false",
             "alias echo false; alias true 'echo odd'"),
    "dash": ("IFS=0123456789", "IFS=", "set -Cfu", "readonly tool=a", "alias conda='conda '",
             "command() {{ echo odd; }}; test() {{ echo odd; }}"),
}
# How scripts are run, and read our text.
SCRIPT = {
    "bash": ("bash", 'eval "$(cat {})"', "bash"), "zsh": ("zsh -f", 'eval "$(cat {})"', "zsh"),
    "fish": ("fish --no-config", "cat {} | source", "fish"),
    "dash": ("dash", 'eval "$(cat {})"', "posix"), "tcsh": ("tcsh -f", 'eval "`cat {}`"', "tcsh"),
    "xonsh": ("xonsh --no-rc", "execx(open('{}').read())", "xonsh"),
}
SHOW = {"tcsh": ("echo now=$?CONDA_PREFIX", "now=0"),
        "xonsh": ("print('now=%s' % __xonsh__.env.get('CONDA_PREFIX', ''))", "now=")}
CSH = 'if ( "$1" == activate ) setenv CONDA_PREFIX $2\nif ( "$1" == deactivate ) unsetenv CONDA_PREFIX\n'


class Prompt(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ewp-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        command = self.folder / "envwarden"
        command.write_text(COMMAND.format(self.folder))
        command.chmod(0o755)
        (self.folder / "conda.csh").write_text(CSH)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": folder.name, "LANG": "C.UTF-8"}
        for shell in (*SHELLS, "posix"):
            text = subprocess.run([harness.BIN / "envwarden", "shell-init", shell], check=True,
                                  capture_output=True, text=True).stdout
            (self.folder / f"init.{shell}").write_text(
                text.replace(str(harness.BIN / "envwarden"), str(command)))

    def type(self, shell, lines, before="", after="", answer=0, options="", **env):
        """What an interactive shell shows; `calls` are the command's then."""
        s = SHELLS[shell]
        values = {"folder": self.folder, "init": self.folder / f"init.{shell}",
                  "rc": self.folder / (".zshrc" if shell == "zsh" else "rc")}
        values["rc"].write_text("\n".join([before.format(**values), s.init.format(**values),
                                           after.format(**values), s.prompt]) + "\n")
        (self.folder / "calls").write_text("")
        (self.folder / "answer").write_text(f"{answer}\n")
        words = s.words.replace(" -i", f" -i {options}").format(**values)
        shown = terminal.Terminal(shlex.split(words), {**self.env, **env}, self.folder, 60)
        try:
            if shell == "tcsh":
                shown.typed_at = -1
                shown.type(f"source {values['rc']}")
            for line in [*lines, "exit"]:
                shown.type(line)
            shown.finish()
        finally:
            shown.close()
        self.calls = (self.folder / "calls").read_text().splitlines()
        return shown.text

    def program(self, name, text='echo "{0} $*"'):
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text.format(name) + "\n")
        path.chmod(0o755)

    def script(self, shell, lines, answer=0, before=""):
        """What a script shows that reads our text behind what is before; `calls` as above."""
        (self.folder / "calls").write_text("")
        (self.folder / "answer").write_text(f"{answer}\n")
        init = SCRIPT[shell][1].format(self.folder / f"init.{SCRIPT[shell][2]}")
        (self.folder / "script").write_text("\n".join([before, init, *lines]) + "\n")
        env = {**self.env, "PATH": f"{self.folder}:{self.env['PATH']}"}
        done = subprocess.run([*SCRIPT[shell][0].split(), self.folder / "script"], env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        self.calls = (self.folder / "calls").read_text().splitlines()
        return done.stdout + done.stderr

    def each(self, names=tuple(SHELLS)):
        return [(name, SHELLS[name]) for name in names]

    def test_asked_once_for_each_change(self):
        for name, s in self.each():
            activate = s.set.format("CONDA_PREFIX", "/e/a")
            text = self.type(name, ["true", "true", activate, "true", "false", s.unset.format(
                "CONDA_PREFIX"), "true", activate, s.set.format("CONDA_PREFIX", "/e/b"), "true"])
            expected = [f"check --hook --active --prefix /e/{x}" for x in "aab"]
            self.assertEqual(self.calls, expected, text)

    def test_the_status_is_kept(self):
        for name, s in self.each():
            text = self.type(name, ["false", f"echo status={s.status}", s.set.format(
                "CONDA_PREFIX", "/e/a"), f"echo status={s.status}"], answer=4)
            self.assertEqual(re.findall(r"^status=(\d)", text, re.MULTILINE), ["1", "0"], text)

    def test_what_was_gated_is_not_asked_about_again(self):
        for name, s in self.each():
            for early in (True, False):
                text = self.type(name, ["conda activate /e/a", "true", "conda list"],
                                 **{"before" if early else "after": s.function})
                self.assertEqual(self.calls,
                                 ["check --hook --tool conda --typed -- activate /e/a"], text)

    def test_a_block_is_undone_where_that_can_be(self):
        for name, s in self.each():
            show, gone = SHOW.get(name, ('echo "now=$CONDA_PREFIX"', "now="))
            lines = [s.set.format("CONDA_PREFIX", "/e/a"), show]
            text = self.type(name, lines, after=s.function, answer=4, CONDA_SHLVL="1")
            self.assertRegex(text, rf"(?s)envwarden: it was deactivated.*\n{gone}\n")
            text = self.type(name, lines, after=s.function, answer=4)
            self.assertRegex(text, r"envwarden: leave it: ")
            self.assertNotRegex(text, rf"\n{gone}\n")
            self.assertEqual(len(self.calls), 1, text)
            text = self.type(name, [show], after=s.function, answer=4, CONDA_SHLVL="1",
                             CONDA_PREFIX="/w/.pixi/envs/default")
            self.assertRegex(text, r"envwarden: leave it: ")

    def test_read_twice(self):
        for name, s in self.each():
            text = self.type(name, [s.set.format("CONDA_PREFIX", "/e/a"), "true",
                                    "conda activate /e/b"],
                             before=s.function + "\n" + s.init, after=s.init)
            self.assertEqual(len(self.calls), 2, text)

    def test_strict_shells(self):
        for name, s in self.each(("bash", "zsh")):
            text = self.type(name, ["set -eu", "false || :", "if false; then :; fi",
                                    "false && :", "export CONDA_PREFIX=/e/a", ":",
                                    "conda deactivate", "echo still=there"],
                             after=s.function, answer=4)
            self.assertIn("\nstill=there\n", text)
            self.assertEqual(len(self.calls), 1, text)

    def test_odd_shells(self):
        for name, s in self.each(("bash", "zsh", "fish", "tcsh")):
            show = {"tcsh": "printf 'now=%d\\n' $?CONDA_PREFIX",
                    "fish": "printf 'now=%s\\n' $CONDA_PREFIX"}.get(
                        name, "printf 'now=%s\\n' \"${CONDA_PREFIX-}\"")
            for odd in ODD[name]:
                text = self.type(name, ["conda activate /e/a", show], answer=4,
                                 before=s.function + "\n" + odd)
                shown = [line for line in text.splitlines()
                         if line and not re.search(r"ready[\d.]*>|^exit$|^source ", line)]
                self.assertEqual(shown, ["now=0" if name == "tcsh" else "now="], (odd, text))
                self.assertEqual(self.calls,
                                 ["check --hook --tool conda --typed -- activate /e/a"], odd)

    def test_traps_for_failures(self):
        """They are for what people type."""
        for name, s in self.each(("bash", "zsh")):
            for options in ("", {"bash": "set -ET", "zsh": "setopt err_return"}[name]):
                trap = f"trap 'echo trapped' {'ERR' if name == 'bash' else 'ZERR'}; {options}"
                for when in ("before", "after"):
                    text = self.type(name, ["conda activate /e/a", "export CONDA_PREFIX=/e/b", ":",
                                            "false", ":", "echo status=$?"],
                                     **{when: s.function + "\n" + trap})
                    self.assertEqual(text.splitlines().count("trapped"), 1, (trap, text))
                    self.assertEqual([c.split()[-1] for c in self.calls], ["/e/a", "/e/b"], text)

    def test_odd_dash(self):
        script = self.folder / "script"
        (self.folder / "answer").write_text("4\n")
        for odd in ODD["dash"]:
            (self.folder / "calls").write_text("")
            script.write_text("\n".join([POSIX.format(), odd.format(),
                                         f'eval "$(cat {self.folder}/init.posix)"',
                                         "conda activate /e/a", 'echo "now=${CONDA_PREFIX-}"']))
            done = subprocess.run(["dash", script], env=self.env, capture_output=True, text=True,
                                  check=True, timeout=60)
            self.assertEqual((done.stdout, done.stderr), ("now=\n", ""), odd)
            self.assertEqual((self.folder / "calls").read_text(),
                             "check --hook --tool conda --typed -- activate /e/a\n", odd)

    def test_dash_keeps_aliases(self):
        script = self.folder / "script"
        gated = "check --hook --tool {} --typed -- activate /e/a\n"
        for alias, line, out, calls in (
                ("conda='conda -q  '", "conda 'a  b'", "conda -q a  b", ""),
                ("conda='conda -q'", "conda activate /e/a", "conda -q activate /e/a", ""),
                ("conda=\"conda 'a  b'\"", "conda c", "conda a  b c", ""),
                ("conda=conda", "conda activate /e/a", "", gated.format("conda")),
                ("conda=mamba", "conda activate /e/a", "", gated.format("mamba")),
                ("conda='mamba activate'", "conda /e/a", "", gated.format("mamba")),
                ("conda='A=1 conda'", "conda activate /e/a", "conda activate /e/a", ""),
                ("conda='echo my'", "conda activate", "my activate", "")):
            (self.folder / "calls").write_text("")
            (self.folder / "answer").write_text("4\n")
            read = f'eval "$(cat {self.folder}/init.posix)"'
            script.write_text("\n".join([
                'conda() { echo "conda $*"; }; mamba() { echo "mamba $*"; }', f"alias {alias}",
                read, read, line, ":"]))
            done = subprocess.run(["dash", script], env=self.env, capture_output=True, text=True,
                                  check=True, timeout=60)
            self.assertEqual((done.stdout, done.stderr), (f"{out}\n" if out else "", ""), alias)
            self.assertEqual((self.folder / "calls").read_text(), calls, alias)

    def test_tcsh_takes_what_is_typed(self):
        """Redirections, pipes and quotes mean what they do without us."""
        self.program("pixi")
        (self.folder / "conda.csh").write_text("echo conda $argv:q\n" + CSH)
        before = (f"setenv CONDA_PREFIX ''\nalias conda 'source {self.folder}/conda.csh'\n"
                  "alias mamba 'echo one ; echo two \\!*'")
        file = self.folder / "file"
        for line, answer, out, asked in (
                ("conda list > {0}; cat {0}", 4, "conda list", ""),
                ("conda list >& {0}; conda x >> {0}; cat {0}", 4, "conda list\nconda x", ""),
                ("touch {0}; set noclobber; pixi list >! {0}; cat {0}", 4, "pixi list", ""),
                ("echo x > {0}; pixi list < {0} | sed 's/^/p: /'", 4, "p: pixi list", ""),
                ("pixi run x > {0}; cat {0}", 0, "pixi run x", "pixi -- run x > {0}"),
                ("conda activate a > {0}; cat {0}", 0, "conda activate a",
                 "conda -- activate a > {0}"),
                ("conda activate a > {0}; echo $status", 4, "4", "conda -- activate a > {0}"),
                ("conda activate a | cat", 4, "", "conda -- activate a"),
                ("conda activate a && echo yes", 0, "conda activate a\nyes",
                 "conda -- activate a"),
                ("conda activate a && echo yes", 4, "", "conda -- activate a"),
                ("conda 'a  b' \"c\\!\" '*' '$x'", 4, "conda a  b c! * $x", ""),
                ("conda `echo x >> {0}; echo y`; cat {0}", 4, "conda y\nx", ""),
                ("conda activate `echo x | tee -a {0}`; cat {0}", 0, "conda activate x\nx",
                 "conda -- activate x"),
                ("conda", 4, "conda", ""),
                ("mamba activate a; echo $status", 4, "4", "mamba -- activate a"),
                ("mamba list", 4, "one\ntwo list", "")):
            file.unlink(missing_ok=True)
            shown = self.script("tcsh", [line.format(file)], answer, before)
            self.assertEqual(shown, f"{out}\n" if out else "", line)
            asked = "check --hook --tool " + asked.replace("--", "--typed --").format(file)
            self.assertEqual(self.calls, [asked] if "--typed" in asked else [], line)

    def test_tcsh_keeps_aliases(self):
        self.program("pixi")
        for when in ("before", "after"):
            text = self.type("tcsh", ["pixi list", "pixi run x"], answer=4,
                             **{when: "set path = ( {folder} $path )\nalias pixi 'pixi -q'"})
            self.assertEqual(re.findall(r"^pixi.*", text, re.MULTILINE), ["pixi -q list"], text)
            self.assertEqual(self.calls, ["check --hook --tool pixi --typed -- run x"], text)

    def test_mere_programs(self):
        """mamba and micromamba without their functions, as in CI, and pixi: with any IFS."""
        for name in ("micromamba", "mamba", "pixi"):
            self.program(name)
        status = {"fish": "or echo $status", "tcsh": "; echo $status", "xonsh": "or echo 4"}
        for shell in SCRIPT:
            odd = "IFS=:" if shell in ("bash", "zsh", "dash") else ""
            for tool, words in (("micromamba", "run -n a x"), ("mamba", "run -n a x"),
                                ("pixi", "-v run x"), ("pixi", "shell-hook")):
                line = f"{tool} {words} {status.get(shell, '|| echo $?')}"
                if shell == "fish":
                    line = line.replace(" or", "; or")
                shown = self.script(shell, [odd, line, f"{tool} list"], 4)
                self.assertEqual(shown, f"4\n{tool} list\n", (shell, line))
                self.assertEqual(self.calls, [f"check --hook --tool {tool} --typed -- {words}"],
                                 (shell, line))

    def test_own_functions_of_pixi(self):
        self.program("pixi")
        own = {"fish": "function pixi; command pixi -q $argv; end",
               "xonsh": "aliases['pixi'] = 'pixi -q'"}
        for shell in ("bash", "zsh", "fish", "xonsh"):
            shown = self.script(shell, ["pixi list", "pixi r x", "pixi"], 4, own.get(
                shell, 'pixi() { command pixi -q "$@"; }'))
            self.assertEqual([w.strip() for w in shown.splitlines()], ["pixi -q list", "pixi -q"])
            self.assertEqual([call.replace("-q ", "") for call in self.calls],
                             ["check --hook --tool pixi --typed -- r x"], shell)

    def test_functions_that_wrap_ours(self):
        """They keep a copy of what was there, and call it: seen at the next prompt."""
        theirs = {
            "bash": 'eval "$(declare -f conda | sed "1s/conda/copy/")"\n'
                    'conda() {{ echo theirs; copy "$@"; }}',
            "zsh": 'functions[copy]="$functions[conda]"\nconda() {{ echo theirs; copy "$@"; }}',
            "fish": "functions -c conda copy\nfunction conda; echo theirs; copy $argv; end",
        }
        show = {"fish": 'echo "now=$CONDA_PREFIX"'}
        for name, s in self.each(tuple(theirs)):
            seen = s.set.format("CONDA_SHLVL", "1")  # bash looks when something changes
            text = self.type(name, [seen, "conda activate /e/a",
                                    show.get(name, "echo now=$CONDA_PREFIX"), "conda deactivate"],
                             before=s.function, after=theirs[name])
            self.assertIn("\nnow=/e/a\n", text)
            self.assertEqual(re.findall("^theirs$", text, re.MULTILINE), ["theirs"] * 2, text)
            self.assertEqual(set(self.calls),
                             {"check --hook --tool conda --typed -- activate /e/a"}, text)
            text = self.type(name, [seen, "conda activate /e/a"], before=s.function,
                             after=theirs[name], answer=4)
            self.assertNotIn("\ntheirs\n", text)

    def test_closed_descriptors(self):
        for shell in ("bash", "zsh", "fish", "dash"):
            own = "conda() { echo conda; }"
            if shell == "fish":
                own = "function conda; echo conda; end"
            for closed in ("2>&-", "<&-", ">&-", "<&- >&- 2>&-"):
                shown = self.script(shell, [f"conda activate /e/a {closed}"], 4, own)
                self.assertEqual((shown, len(self.calls)), ("", 1), (shell, closed))

    def test_functions_with_extended_patterns(self):
        own = ("shopt -s extglob\nconda() { case $1 in @(list|x)) ;; *) echo conda;; esac; }\n"
               "shopt -u extglob")
        for lines in ([], ["alias conda=conda; shopt -s expand_aliases"]):
            lines = [*lines, "conda activate /e/a", "shopt -q extglob || echo off"]
            shown = self.script("bash", lines, 4, own)
            self.assertEqual((shown, len(self.calls)), ("off\n", 1))

    def test_an_exported_prompt_command(self):
        """It comes to a shell that knows nothing of us."""
        text = self.type("bash", ["bash --norc --noprofile --noediting -i", "false",
                                  "echo status=$?", "exit"],
                         before="export PROMPT_COMMAND=:; export PS1='ready> '")
        self.assertIn("\nstatus=1\n", text)
        self.assertNotIn("__envwarden", text)

    def test_path_is_searched_when_it_changes(self):
        """One folder in it may be dead."""
        add = {"bash": "PATH=$PATH:/x", "zsh": "PATH=$PATH:/x", "fish": "set PATH $PATH /x",
               "xonsh": "$PATH.append('/x')"}
        for name, s in self.each(tuple(add)):
            for path, asked in (("true", 0), (add[name], 1)):
                (self.folder / "pixi").unlink(missing_ok=True)
                make = f"echo exit > {self.folder}/pixi; chmod +x {self.folder}/pixi"
                if name == "xonsh":
                    make = f"cp /bin/true {self.folder}/pixi"
                self.type(name, [make, path, ":" if name != "xonsh" else "true", "pixi run x"],
                          PATH=f"{self.folder}:{self.env['PATH']}")
                self.assertEqual(len(self.calls), asked, (name, path))

    def test_nothing_is_held_by_the_timer(self):
        """The words that wait a second for a command; their sleep is left behind."""
        text = (self.folder / "init.xonsh").read_text()
        timed = re.search(r'r"""(\S*/bin/sh\S* -c .*?)"""', text)[1]
        self.program("sleep", f"echo $$ > {self.folder}/pid; exec /bin/sleep 600")
        env = {**self.env, "PATH": f"{self.folder}:{self.env['PATH']}"}
        (self.folder / "answer").write_text("4\n")
        wait = f"; while [ ! -s {self.folder}/pid ]; do :; done"
        (self.folder / "envwarden").write_text(COMMAND.format(self.folder).replace(
            "exit ", f"{wait[2:]}\nexit "))
        done = subprocess.run(["sh", "-c", f"{timed} 3>&1 4>&1 9>&1"], env=env, timeout=60,
                              stdout=subprocess.PIPE, check=False)
        os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)
        self.assertEqual((done.returncode, done.stdout), (4, b""))

    def test_restricted_shells(self):
        """They can start nothing of ours, and need not say so at each prompt."""
        for name, s in self.each(("bash", "zsh")):
            text = self.type(name, ["true", "conda activate /e/a", 'echo "now=$CONDA_PREFIX"'],
                             before=s.function, options="-r", answer=4)
            self.assertIn("\nnow=/e/a\n", text)
            self.assertNotIn("restricted", text)

    def test_read_again_behind_the_tools(self):
        """What a startup file that is sourced again does."""
        for name, s in self.each():
            text = self.type(name, ["true", "conda activate /e/a"],
                             before="\n".join([s.function, s.init, s.function]))
            self.assertEqual(self.calls, ["check --hook --tool conda --typed -- activate /e/a"],
                             text)

    def test_a_tool_that_loads_itself(self):
        """At its first use, as many do with conda, whose own text is slow."""
        (self.folder / "conda").write_text(POSIX.format().partition("{")[2].rpartition("}")[0])
        lazy = "conda() {{ unset -f conda; " + POSIX + '; conda "$@"; }}'
        autoload = "fpath=({folder} $fpath); autoload -Uz conda"
        for name, own, first in (("bash", lazy, "--tool conda --typed -- activate"),
                                 ("zsh", lazy, "--tool conda --typed -- activate"),
                                 ("zsh", autoload, "--active --prefix")):
            text = self.type(name, ["conda activate /e/a", ":", "conda activate /e/b"], before=own)
            self.assertEqual(self.calls, [f"check --hook {first} /e/a",
                                          "check --hook --tool conda --typed -- activate /e/b"], text)

    def test_an_exported_function(self):
        """A script has it without the rest of ours; a shell that reads ours gates it."""
        text = self.type("bash", ["export -f conda", "bash -c 'conda activate /e/a; echo in=$?:"
                                  "$CONDA_PREFIX'"], before=POSIX, answer=4)
        self.assertIn("\nin=0:/e/a\n", text)
        self.assertEqual(self.calls, [], text)
        inner = "--rcfile {0}/inner".format(self.folder)
        (self.folder / "inner").write_text(f'eval "$(cat {self.folder}/init.bash)"\nPS1="ready> "')
        text = self.type("bash", ["export -f conda", f"bash {inner} -i", "conda activate /e/a",
                                  "echo in=$?:$CONDA_PREFIX", "exit"], before=POSIX, answer=4)
        self.assertIn("\nin=4:\n", text)
        self.assertEqual(len(self.calls), 1, text)

    def test_tcsh_looks_at_its_aliases_once(self):
        text = self.type("tcsh", ["true"] * 3, before=SHELLS["tcsh"].function + "\nalias mamba true",
                         after="alias __envwarden_wrap 'echo looked'")
        self.assertEqual(text.count("looked"), 1, text)

    def test_a_command_that_hangs(self):
        """xonsh gives it up; in the others ^C ends it."""
        (self.folder / "envwarden").write_text("#!/bin/sh\nexec sleep 600\n")
        s = SHELLS["xonsh"]
        text = self.type("xonsh", ["conda activate /e/a", SHOW["xonsh"][0]], before=s.function)
        self.assertRegex(text, r"\nnow=/e/a\n")
        self.program("pixi")
        self.assertEqual(self.script("xonsh", ["pixi run x"]), "pixi run x\n")

    def test_others_hooks_stay(self):
        hooks = {
            "bash": ("PROMPT_COMMAND='echo mine=$?'", "PROMPT_COMMAND=('echo mine=$?')",
                     "PROMPT_COMMAND='echo mine=$?;'"),
            "zsh": ("mine() {{ echo mine=$? }}\nprecmd_functions=(mine)",
                    "precmd() {{ echo mine=$? }}"),
            "fish": ("function mine --on-event fish_prompt; echo mine=$status; end",),
            "tcsh": ("alias precmd 'echo mine=$status'",),
            "xonsh": ("@events.on_pre_prompt\ndef mine(**_):\n"
                      "    print('mine=%s' % $LAST_RETURN_CODE)\n",),
        }
        for name, s in self.each():
            for hook in hooks[name]:
                late = name == "fish" or hook.startswith("precmd()")
                for when in ("before", "after") if late else ("before",):
                    text = self.type(name, ["false", s.set.format("CONDA_PREFIX", "/e/a")],
                                     **{when: hook})
                    self.assertIn("mine=1", text, hook)
                    self.assertEqual(len(self.calls), 1, text)

    def test_hooks_that_are_replaced(self):
        """By a prompt tool behind us; an activation puts ours back."""
        for name, hook in (("bash", "PROMPT_COMMAND='echo mine'"),
                           ("zsh", "mine() {{ echo mine }}\nprecmd_functions=(mine)")):
            text = self.type(name, ["conda activate /e/a", "export CONDA_PREFIX=/e/b", ":"],
                             before=SHELLS[name].function, after=hook)
            self.assertIn("\nmine\n", text)
            self.assertEqual([c.split()[-1] for c in self.calls], ["/e/a", "/e/b"], text)

    def test_nothing_is_inherited_or_asked_in_scripts(self):
        for name, s in self.each(("bash", "zsh")):
            text = self.type(name, ["set -a", "export CONDA_PREFIX=/e/a",
                                    f"{name} -c '. {self.folder}/init.{name}; :'"])
            self.assertEqual(len(self.calls), 1, text)
        text = self.type("bash", ["set -a", "export CONDA_PREFIX=/e/a",
                                  f"bash --rcfile {self.folder}/rc -i", ":", "exit"])
        self.assertEqual(len(self.calls), 2, text)

    def test_a_command_that_is_gone(self):
        for name, s in self.each():
            command = self.folder / "envwarden"
            command.rename(command.with_name("kept"))
            text = self.type(name, [s.set.format("CONDA_PREFIX", "/e/a"), "conda activate /e/b",
                                    SHOW["xonsh"][0] if name == "xonsh" else
                                    'echo "now=$CONDA_PREFIX"'], after=s.function)
            command.with_name("kept").rename(command)
            self.assertRegex(text, r"\nnow=/e/b\n")
            self.assertNotRegex(text, r"(?i)not found|no such|unknown command")


if __name__ == "__main__":
    unittest.main(verbosity=1)
