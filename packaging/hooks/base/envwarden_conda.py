# placed by envwarden
"""`conda env-log` and `conda audit`.

A plugin of conda 23.7 and later. It only starts the envwarden command of this machine.
"""
import os
import subprocess
import sys

from conda import plugins

COMMAND = @ENVWARDEN@
UNKNOWN = 2  # what envwarden exits with if it has no such command


def env_log(words):
    return run("history", words)


def audit(words):
    if call("help", "audit", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == UNKNOWN:
        print("conda audit: the envwarden of this machine (%s) has no audit yet" % COMMAND,
              file=sys.stderr)
        return UNKNOWN
    return run("audit", words)


def run(command, words):
    environment, rest = split(list(words))
    if not environment and not {"-h", "--help"} & set(rest):
        environment = ["--prefix", os.environ.get("CONDA_PREFIX") or sys.prefix]
    return call(command, *environment, *rest)


def split(words):
    """(the words that name an environment, the others). Names are looked up as conda does."""
    environment, rest = [], []
    words = iter(words)
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("-n", "--name"):
            environment = ["--prefix", by_name(value if equals else next(words, ""))]
        elif name in ("-p", "--prefix"):
            path = value if equals else next(words, "")
            environment = ["--prefix", os.path.abspath(os.path.expanduser(path))]
        else:
            rest.append(word)
    return environment, rest


def by_name(name):
    from conda.base.context import locate_prefix_by_name
    return str(locate_prefix_by_name(name))


def call(*words, **options):
    try:
        return subprocess.call((COMMAND,) + words, **options)
    except OSError as error:
        print("conda: envwarden: %s" % error, file=sys.stderr)
        return 1


@plugins.hookimpl
def conda_subcommands():
    yield plugins.CondaSubcommand(
        name="env-log", summary="What changed in an environment, when and by whom (envwarden).",
        action=env_log)
    yield plugins.CondaSubcommand(
        name="audit", summary="Known vulnerabilities in an environment (envwarden).", action=audit)
