"""The shell integration at prompts: asks once where something became active unasked, costs nothing
else, and leaves the shell as it was.

The command is a stand-in that notes its calls and ends with the status it is told to.
"""

import pathlib
import re
import shlex
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
        for shell in SHELLS:
            text = subprocess.run([harness.BIN / "envwarden", "shell-init", shell], check=True,
                                  capture_output=True, text=True).stdout
            (self.folder / f"init.{shell}").write_text(
                text.replace(str(harness.BIN / "envwarden"), str(command)))

    def type(self, shell, lines, before="", after="", answer=0, **env):
        """What an interactive shell shows; `calls` are the command's then."""
        s = SHELLS[shell]
        values = {"folder": self.folder, "init": self.folder / f"init.{shell}",
                  "rc": self.folder / (".zshrc" if shell == "zsh" else "rc")}
        values["rc"].write_text("\n".join([before.format(**values), s.init.format(**values),
                                           after.format(**values), s.prompt]) + "\n")
        (self.folder / "calls").write_text("")
        (self.folder / "answer").write_text(f"{answer}\n")
        shown = terminal.Terminal(shlex.split(s.words.format(**values)),
                                  {**self.env, **env}, self.folder, 60)
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
