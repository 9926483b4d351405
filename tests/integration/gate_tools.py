"""Stand-ins for mamba, micromamba and pixi, which would have to be downloaded.

They speak the protocols of the real ones. `micromamba shell activate NAME --shell SHELL` prints
what a function that its initialisation defines evaluates if it ends well; `micromamba run -n NAME`
starts a program; `mamba` is the same program under another name. `pixi shell-hook` prints what sets
the variables of the workspace's environment, `pixi run` starts a program with them, and `pixi shell`
an interactive shell. All there is to an activation here is CONDA_PREFIX and CONDA_SHLVL.

For tcsh mamba defines an alias that this one's differs from: here it is one that sources a file, as
conda's does.
"""

import os
import shutil

SET = r'''
say() {
    case "$kind" in
    fish) printf 'set -gx %s "%s";\n' "$1" "$2" ;;
    csh | tcsh) printf "setenv %s '%s';\n" "$1" "$2" ;;
    xonsh) printf "$%s = '%s'\n" "$1" "$2" ;;
    *) printf "export %s='%s'\n" "$1" "$2" ;;
    esac
}
'''

MAMBA = r'''#!/bin/sh
root='%(root)s' kind=bash name=base
''' + SET + r'''
locate() {
    case "$1" in
    */*) prefix="$1" ;;
    base) prefix="$root" ;;
    *) prefix="$root/envs/$1" ;;
    esac
    [ -d "$prefix" ] || { echo "critical libmamba: no prefix $prefix" >&2; exit 1; }
}
case "$1" in
run)
    locate "$3" && shift 3 && CONDA_PREFIX="$prefix" exec "$@"
    ;;
shell)
    command="$2" && shift 2
    while [ $# -gt 0 ]; do
        case "$1" in
        --shell) kind="$2" && shift ;;
        *) name="$1" ;;
        esac
        shift
    done
    prefix=
    [ "$command" = deactivate ] || locate "$name"
    say CONDA_PREFIX "$prefix"
    say CONDA_SHLVL "${prefix:+1}"
    ;;
esac
'''

PIXI = r'''#!/bin/sh
kind=bash
''' + SET + r'''
command="$1" root="$PWD" && shift
[ "${1-}" != -s ] || { kind="$2" && shift 2; }
while [ ! -f "$root/pixi.toml" ]; do
    root="${root%/*}"
    [ -n "$root" ] || { echo "could not find pixi.toml" >&2; exit 1; }
done
prefix="$root/.pixi/envs/default"
case "$command" in
shell-hook) say CONDA_PREFIX "$prefix" && say PIXI_PROJECT_ROOT "$root" && say CONDA_SHLVL 1 ;;
run) CONDA_PREFIX="$prefix" exec "$@" ;;
shell) CONDA_PREFIX="$prefix" CONDA_SHLVL=1 PIXI_IN_SHELL=1 exec $GATE_TEST_SHELL ;;
esac
'''

# What the initialisation of mamba or micromamba defines.
POSIX = '''export MAMBA_EXE='{exe}' MAMBA_ROOT_PREFIX='{root}'
{name}() {{
    case "${{1-}}" in
    activate|deactivate)
        __mamba_told="$("$MAMBA_EXE" shell "$@" --shell bash)" || return
        eval "$__mamba_told"
        ;;
    *) "$MAMBA_EXE" "$@" ;;
    esac
}}'''
FISH = '''set -gx MAMBA_EXE '{exe}'
set -gx MAMBA_ROOT_PREFIX '{root}'
function {name}
    switch $argv[1]
        case activate deactivate
            $MAMBA_EXE shell $argv[1] --shell fish $argv[2..-1] | source; or return
        case '*'
            $MAMBA_EXE $argv
    end
end'''
TCSH = '''setenv MAMBA_EXE '{exe}'
setenv MAMBA_ROOT_PREFIX '{root}'
alias {name} source '{exe}.csh' '''
XONSH = '''$MAMBA_EXE = '{exe}'
$MAMBA_ROOT_PREFIX = '{root}'
def _{name}_main(args=None):
    if args and args[0] in ('activate', 'deactivate'):
        __xonsh__.execer.exec($($MAMBA_EXE shell @(args) --shell xonsh), glbs=__xonsh__.ctx)
    elif ![$MAMBA_EXE @(args)].returncode != 0:
        raise RuntimeError('exited')
aliases['{name}'] = _{name}_main'''
SOURCED = '''switch ("$1")
case "activate":
case "deactivate":
    set told = "`'%(exe)s' shell $argv:q --shell csh`"
    set mamba_status = $status
    if ($mamba_status != 0) exit $mamba_status
    eval "$told"
    breaksw
default:
    '%(exe)s' $argv:q
    breaksw
endsw
'''


# A real one stands where the stand-in would, if these tell where it is. The stand-in stays where
# the real one's own text defines no such command (2.8.1).
REAL = {name: os.environ.get(f"EW_{name.upper()}") for name in ("mamba", "micromamba")}
ABSENT = (("tcsh", "mamba"), ("tcsh", "micromamba"), ("xonsh", "mamba"))
REAL_HOOK = {
    "dash": "export MAMBA_EXE='{exe}' MAMBA_ROOT_PREFIX='{root}'\n"
            "eval \"$('{exe}' shell hook -s dash)\"",
    "fish": "set -gx MAMBA_EXE '{exe}'\nset -gx MAMBA_ROOT_PREFIX '{root}'\n"
            "'{exe}' shell hook -s fish | source",
    "xonsh": "from subprocess import getoutput\n$MAMBA_EXE = '{exe}'\n"
             "$MAMBA_ROOT_PREFIX = '{root}'\n"
             "$MAMBA_LOG_LEVEL = 'error'  # its own text calls it in a way it warns of\n"
             "execx(getoutput(\"'{exe}' shell hook -s xonsh\"))",
}


def make_tools(folder, root):
    """The programs, in a folder that is to be on the PATH; root: of mamba and micromamba."""
    folder.mkdir()
    for name in ("mamba", "micromamba"):
        if REAL[name]:
            (folder / "real").mkdir(exist_ok=True)
            shutil.copy(REAL[name], folder / "real" / name)
        (folder / name).write_text(MAMBA.replace("%(root)s", str(root)))
        (folder / f"{name}.csh").write_text(SOURCED % {"exe": folder / name})
    (folder / "pixi").write_text(PIXI)
    for program in (*folder.glob("*"), *folder.glob("real/*")):
        program.chmod(0o755)


def mamba_init(shell, name, folder, root):
    """What the rc file of a shell gets by `mamba shell init`."""
    if REAL[name] and (shell, name) not in ABSENT:
        text = REAL_HOOK.get(shell, REAL_HOOK["dash"].replace("dash", shell))
        return text.format(exe=folder / "real" / name, root=root)
    text = {"fish": FISH, "tcsh": TCSH, "xonsh": XONSH}.get(shell, POSIX)
    return text.format(exe=folder / name, name=name, root=root)
