#!/usr/bin/env python3
"""How long a shell waits where the agent hangs: an activation by a conda that does nothing.

The socket is open and nobody reads from it. nu is measured where EW_NU names its program.
"""

import os
import pathlib
import socket
import subprocess
import tempfile

import bench

TURNS = 60
BUDGET_MS = 150

# A shell's script: {init} is the integration's text, {env} what is activated, {n} the turns. It prints
# what each took, in seconds.
POSIX = """conda() {{ :; }}
eval "$(cat {init})"
n=0
while [ $n -lt {n} ]; do
    before=$EPOCHREALTIME; conda activate {env}; after=$EPOCHREALTIME
    echo "$before $after"; n=$((n + 1))
done
"""
SHELLS = {
    "bash": ("bash --norc", "bash", POSIX),
    "zsh": ("zsh -f", "zsh", "zmodload zsh/datetime\n" + POSIX),
    "xonsh": ("xonsh --no-rc", "xonsh", """import time
aliases['conda'] = lambda args: None
execx(open('{init}').read())
for i in range({n}):
    before = time.time()
    conda activate {env}
    print(before, time.time())
"""),
    "nu": (f"{os.environ.get('EW_NU')} -n", "nu", """def --env "micromamba activate" [name: string] {{ }}
source '{init}'
for i in 1..{n} {{
    let before = (date now | into int); micromamba activate {env}; let after = (date now | into int)
    print $"($before / 1e9) ($after / 1e9)"
}}
"""),
}


def measure(shell, folder):
    program, name, script = SHELLS[shell]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8",
           "ENVWARDEN_SOCKET": str(folder / "agent.sock")}
    init, prefix = folder / f"init.{name}", folder / "env"
    init.write_bytes(subprocess.run([bench.BIN / "envwarden", "shell-init", name], env=env,
                                    check=True, stdout=subprocess.PIPE).stdout)
    (folder / "script").write_text(script.format(init=init, env=prefix, n=TURNS))
    done = subprocess.run([*program.split(), folder / "script"], env=env, check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    times = [[float(x) for x in line.split()] for line in done.stdout.splitlines()]
    assert len(times) == TURNS, done.stdout
    return bench.median([after - before for before, after in times]) * 1000


def main():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        folder = pathlib.Path(folder)
        (folder / "env" / "conda-meta").mkdir(parents=True)
        silent.bind(str(folder / "agent.sock"))
        silent.listen(1024)
        for shell in SHELLS:
            if shell != "nu" or "EW_NU" in os.environ:
                took_ms = measure(shell, folder)
                bench.row(f"an activation in {shell}, the agent hangs", took_ms, None, "ms",
                          f"<= {BUDGET_MS} ms", took_ms <= BUDGET_MS)


if __name__ == "__main__":
    main()
