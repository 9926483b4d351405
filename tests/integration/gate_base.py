"""A conda base to stand in for a real one, which would have to be downloaded.

It is a prefix whose python is this machine's, with a module `conda` that speaks the protocol that
shells and conda speak: `conda shell.SHELL hook` prints text that defines a function (an alias in
tcsh) `conda`; that one evaluates what `conda shell.SHELL activate ENV` prints if it ends well.
`conda run` starts the program in an inner shell that activates, and goes on if that fails, as conda
does. Environments are looked up in <base>/envs. What it prints is less than what conda prints: the
variables CONDA_PREFIX, CONDA_SHLVL and CONDA_PREFIX_1 ... are all there is to an activation here.
"""

import os
import pathlib
import sys

MODULE = r'''
import os
import subprocess
import sys

BASE = sys.prefix
CONDA = os.path.join(BASE, "bin", "conda")
HOOKS = {
    "posix": """
export CONDA_EXE='%(conda)s'
conda() {
    case "${1-}" in
    activate|deactivate)
        __conda_told="$('%(conda)s' shell.posix "$@")" || return
        eval "$__conda_told"
        ;;
    *) '%(conda)s' "$@" ;;
    esac
}
""",
    "fish": """
set -gx CONDA_EXE '%(conda)s'
function conda
    switch $argv[1]
        case activate deactivate
            eval ('%(conda)s' shell.fish $argv)
        case '*'
            '%(conda)s' $argv
    end
end
""",
    "xonsh": """
$CONDA_EXE = '%(conda)s'
def _conda_main(args=None):
    if args and args[0] in ('activate', 'deactivate'):
        __xonsh__.execer.exec($($CONDA_EXE shell.xonsh @(args)), glbs=__xonsh__.ctx)
        $CONDA_PREFIX  # conda's own does not see either that it failed, but trips over it
    elif ![$CONDA_EXE @(args)].returncode != 0:
        raise RuntimeError('exited')
aliases['conda'] = _conda_main
""",
    # As conda's own does, it forgets what is active already.
    "csh": "setenv CONDA_EXE '%(conda)s' ;\nsetenv CONDA_SHLVL 0 ;\n"
           "alias conda source '%(base)s/etc/profile.d/conda.csh'\n",
}
SET = {"posix": "export %s='%s'\n", "fish": "set -gx %s '%s';\n", "csh": "setenv %s '%s';\n",
       "xonsh": "$%s = '%s'\n"}
QUOTE = {"posix": "'\\''", "fish": "\\'", "csh": "'\\''", "xonsh": "\\'"}


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def locate(name):
    if "/" in name:
        return os.path.abspath(os.path.expanduser(name))
    if name in ("base", "root"):
        return BASE
    prefix = os.path.join(BASE, "envs", name)
    if not os.path.isdir(prefix):
        fail("EnvironmentNameNotFound: Could not find conda environment: " + name)
    return prefix


def shell(name, words):
    kind = {"tcsh": "csh"}.get(name, name)
    if kind not in SET:
        kind = "posix"
    if words[0] == "hook":
        sys.stdout.write(HOOKS[kind] % {"conda": CONDA, "base": BASE})
        return
    named = [w for w in words[1:] if w not in ("", "--dev", "--stack", "--no-stack")]
    level, variables = int(os.environ.get("CONDA_SHLVL") or 0), {}
    if words[0] == "activate":
        prefix = locate(named[0] if named else "base")
        variables["CONDA_PREFIX_%d" % level] = os.environ.get("CONDA_PREFIX", "")
        level += 1
    elif level == 0:
        return
    else:
        level -= 1
        prefix = os.environ.get("CONDA_PREFIX_%d" % level, "") if level else ""
    variables.update(CONDA_PREFIX=prefix, CONDA_SHLVL=str(level))
    for name, value in variables.items():
        sys.stdout.write(SET[kind] % (name, value.replace("'", QUOTE[kind])))


def run(words):
    prefix = BASE
    while words and words[0].startswith("-"):
        if words[0] in ("-n", "-p"):
            prefix = locate(words[1])
            del words[0]
        del words[0]
    script = "eval \"$('%s' shell.posix hook)\"\nconda activate '%s'\n\"$@\"\n" % (CONDA, prefix)
    sys.exit(subprocess.call(["sh", "-c", script, "sh"] + words))


def main():
    words = sys.argv[1:]
    if words[0].startswith("shell."):
        shell(words[0][len("shell."):], words[1:])
    elif words[0] == "run":
        run(words[1:])
    else:
        fail("conda: no command " + words[0])


if __name__ == "__main__":
    main()
'''

CSH = """switch ("$1")
case "activate":
case "deactivate":
    set told = "`'%(conda)s' shell.csh '${1}' '${2}' ${argv[3-]}`"
    set conda_status = $status
    if ($conda_status != 0) exit $conda_status
    eval "$told"
    breaksw
default:
    '%(conda)s' $argv:q
    breaksw
endsw
"""


def site_packages(base):
    """As the python of the base names its folder."""
    return base / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def make_base(base):
    """Makes the stand-in at this path, with no environments and without pieces of envwarden."""
    base = pathlib.Path(base)
    python = base / "bin" / "python"
    for folder in ("bin", "condabin", "conda-meta", "envs", "etc/profile.d"):
        (base / folder).mkdir(parents=True)
    python.symlink_to(os.path.realpath(sys.executable))
    (base / "pyvenv.cfg").write_text(f"home = {pathlib.Path(sys.executable).resolve().parent}\n"
                                     "include-system-site-packages = false\n")
    module = site_packages(base) / "conda"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("")
    (module / "__main__.py").write_text(MODULE)
    program = base / "bin" / "conda"
    program.write_text(f"#!{python}\nfrom conda.__main__ import main\nmain()\n")
    program.chmod(0o755)
    (base / "etc" / "profile.d" / "conda.csh").write_text(CSH % {"conda": program})
    make_activate(base)
    (base / "conda-meta" / "history").write_text("")
    make_record(base)
    return base


def make_activate(base):
    """What conda's package has there; pip's, and a venv's, is another program."""
    (base / "bin" / "activate").write_text(
        f"eval \"$('{base}/bin/conda' shell.posix hook)\"\nconda activate \"$@\"\n")


def make_record(base):
    """What a base is known by, where conda was not installed by conda."""
    (base / "condabin").mkdir(exist_ok=True)
    (base / "conda-meta" / "conda-26.7.1-py_0.json").write_text(
        '{"name": "conda", "version": "26.7.1", "build": "py_0", "build_number": 0, "depends": []}')
