# placed by envwarden
"""Asks the agent before conda activates an environment.

Runs while this base's Python starts, called by the line in envwarden.pth (from Python 3.18 on by
envwarden.start), and only for `conda shell.* activate` and `conda run`. If the environment is
blocked, this process ends here: its status is 1 and nothing is on stdout, which a shell evaluates.
Whatever else happens (no agent, no command, an error), conda goes on as if this were not here.

Python 3.6 and later. Nothing is imported that a start without an activation would pay for.
"""
import sys

COMMAND = @ENVWARDEN@
BLOCKED = 4
# The command answers within 150 ms, whatever the agent does. Only one that can't even run, such as
# one on a file system that hangs, takes longer: then nobody waits for it any more.
PATIENCE_S = 1.0


class NotOurs(Exception):
    """This is no activation, or one that conda will refuse by itself."""


asked = False


def start():
    global asked
    if asked:  # site reads the folder's .pth files twice where the base is a virtual environment
        return
    asked = True
    try:
        target = find_target(*command_line())
        status = ask([COMMAND, "check", "--hook", "--tool", "conda", "--base", sys.prefix] + target)
    except KeyboardInterrupt:
        status = BLOCKED
    except Exception:
        return
    if status == BLOCKED:
        import os
        os._exit(1)  # Python has written nothing yet, and sys.stderr may be None


# --- which environment is meant ---


def command_line():
    """How this Python was started: (is it conda for sure, the words behind the program)."""
    argv = getattr(sys, "argv", None)
    if argv and argv[0] != "-m":
        return is_conda(argv[0]), argv[1:]
    words = getattr(sys, "orig_argv", None) or system_words()
    program, rest = skip_interpreter(words[1:])
    return is_conda(program), rest


def is_conda(program):
    name = program.replace("\\", "/").rpartition("/")[2]
    return name in ("conda", "conda.exe", "conda-script.py")


def system_words():
    """Before Python 3.10 nothing else says what -m runs; before 3.7, not even argv is there yet."""
    with open("/proc/self/cmdline", "rb") as f:
        return [word.decode("utf-8", "surrogateescape") for word in f.read().split(b"\0")[:-1]]


def skip_interpreter(words):
    """The module or script that python's own arguments name, and the words behind it."""
    for i, word in enumerate(words):
        if not word.startswith("-"):
            if i and words[i - 1] in ("-W", "-X"):
                continue
            return word, words[i + 1:]
        flags = word.lstrip("-")
        for at, letter in enumerate(flags):
            if letter == "m" and not word.startswith("--"):
                rest = words[i + 1:]
                return (flags[at + 1:], rest) if flags[at + 1:] else (rest[0], rest[1:])
            if letter in "cWX":
                break
    raise NotOurs


def find_target(conda, words):
    """The words that tell `envwarden check` what conda is about to activate."""
    if words[0].startswith("shell."):
        return of_activate(words[1:])
    if conda:
        return of_run(words)
    raise NotOurs


def of_activate(words):
    """As conda/activate.py reads them: options anywhere, at most one environment."""
    if words[:1] != ["activate"] or {"-h", "--help", "/?"} & set(words):
        raise NotOurs
    if "--stack" in words and "--no-stack" in words:
        raise NotOurs
    options = ("activate", "--dev", "--stack", "--no-stack", "")
    named = [word for word in words if word not in options]
    if len(named) > 1:
        raise NotOurs
    return of_name(named[0] if named else default_environment())


def default_environment():
    """What conda activates if nothing is named, by conda's own configuration."""
    try:
        from conda.base.context import context
        return context.default_activation_env
    except Exception:
        return "base"


def of_name(name):
    if "/" in name or "\\" in name:
        return of_path(name)
    return ["--name=" + name]


def of_path(path):
    from os.path import abspath, expanduser, expandvars
    return ["--prefix=" + abspath(expanduser(expandvars(path)))]


def of_run(words):
    """As conda/cli/main_run.py reads them: options up to the program that is to be run."""
    words = iter(words)
    for word in words:
        if word == "run":
            break
        if not word.startswith("-"):
            raise NotOurs
    else:
        raise NotOurs
    target = []
    for word in words:
        if word in ("-h", "--help"):
            raise NotOurs
        if word == "--" or not word.startswith("-"):
            break
        option, value = read_option(word, words)
        if option == "p":
            target = of_path(value)
        elif option == "n":
            target = of_name(value)
    if target:
        return target
    import os
    active = os.environ.get("CONDA_PREFIX")
    return of_path(active) if active else of_name(default_environment())


def read_option(word, rest):
    """One of `conda run`: ("n" or "p", its value), ("", None) for any other."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        for option, long_name in (("n", "--name"), ("p", "--prefix"), ("", "--cwd")):
            if len(name) > 2 and long_name.startswith(name):
                return option, value if equals else next(rest)
        return "", None
    for at in range(1, len(word)):
        if word[at] in "np":
            return word[at], word[at + 1:].lstrip("=") or next(rest)
    return "", None


# --- asking ---


def ask(words):
    """The exit status of a command whose words go to stderr, or None if it takes too long."""
    import os
    if not hasattr(os, "fork"):
        import subprocess
        return subprocess.call(words, stdin=subprocess.DEVNULL, stdout=2, timeout=PATIENCE_S)
    import select
    import signal
    filled = fill_in()
    ended, inherited = os.pipe()
    # If whoever started us ignores its children's ends, so would we, and learn no status.
    children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()  # returns before the command is found and loaded, which may hang
    if pid == 0:
        become(words, inherited)
    os.close(inherited)
    try:
        if not select.select([ended], [], [], PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
            return None
        status = os.waitpid(pid, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    finally:
        os.close(ended)
        for number in filled:
            os.close(number)
        signal.signal(signal.SIGCHLD, children)


def fill_in():
    """Opens what is closed of 0, 1 and 2, which would become the ends of our pipe."""
    import os
    filled = []
    number = os.open(os.devnull, os.O_RDWR)
    while number < 3:
        filled.append(number)
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    return filled


def become(words, inherited):
    """The new process turns into the command; its end closes `inherited`."""
    import os
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        for number in (2, inherited):
            os.set_inheritable(number, True)
        os.execv(words[0], words)
    finally:
        os._exit(127)
