#!/usr/bin/env bash
# packaging/quickstart.sh against stand-ins for the programs: what it starts, mends, leaves alone
# and removes. With the real programs it runs in the integration tests.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
failures=0

finish() {
	local name
	for name in server agent; do
		[ ! -f "$STUB/$name" ] || kill "$(cat "$STUB/$name")" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap finish EXIT

export HOME=$work/home STUB=$work/stub EW_QUICKSTART_DIR=$work/state
mkdir -p "$HOME" "$STUB" "$work/bin" "$work/share"
cp -r "$root/packaging/quickstart.sh" "$root/packaging/sample" "$work/share/"
for program in envwarden envwardend envwarden-server envwarden-admin; do
	cp "$here/stub.sh" "$work/bin/$program"
done
export PATH=$work/bin:$PATH
quickstart=$work/share/quickstart.sh

check() {
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		echo "ok: $what"
	else
		echo "not ok: $what"
		sed 's/^/    /' "$work/out"
		failures=$((failures + 1))
	fi
}

fails() {
	! "$@"
}

starts() {
	[ "$(grep -c "^$1\$" "$STUB/starts")" -eq "$2" ]
}

prints() {
	local text=$1
	shift
	"$@" | grep "$text" >/dev/null
}

saved_pid() {
	cut -d ' ' -f 1 "$EW_QUICKSTART_DIR/$1.pid"
}

# Ended, even where nobody has collected it yet.
gone() {
	! grep -q '^State:[^Z]*$' "/proc/$1/status" 2>/dev/null
}

check "nothing to stop at first" fails "$quickstart" --stop
check "nothing to remove at first" prints "nothing to remove" "$quickstart" --clean
check "first run makes a sample and says so" prints "no conda environment" "$quickstart"
check "sample is registered" grep -qx "$EW_QUICKSTART_DIR/envs/sample" "$HOME/.conda/environments.txt"
check "secrets are private" [ "$(stat -c %a "$EW_QUICKSTART_DIR/first-password")" = 600 ]
check "join code is gone" [ ! -e "$EW_QUICKSTART_DIR/join-code" ]
check "status is fine" "$quickstart" --status
check "second run shows the password" prints "first password s3cret" "$quickstart"
check "second run starts no second server" starts server 1
check "second run starts no second agent" starts agent 1
check "initialised once" [ "$(grep -c '^envwarden-server init' "$STUB/calls")" -eq 1 ]
check "enrolled once" [ "$(grep -c ' enroll ' "$STUB/calls")" -eq 1 ]

agent=$(saved_pid agent)
kill -KILL "$agent"
until gone "$agent"; do sleep 0.1; done
check "status tells a dead agent" fails "$quickstart" --status
check "a dead agent is started again" "$quickstart"
check "and the server left alone" starts server 1
server=$(saved_pid server)
kill -KILL "$server"
until gone "$server"; do sleep 0.1; done
check "a dead server is started again, and its agent" "$quickstart"
check "two servers in all" starts server 2
check "three agents in all" starts agent 3

"$quickstart" --stop >/dev/null
check "stopped" fails "$quickstart" --status
port=$(cut -d ' ' -f 1 "$EW_QUICKSTART_DIR/ports")
coproc taker { exec python3 -c "import socket, sys
s = socket.create_server(('127.0.0.1', $port))
print('taken', flush=True)
sys.stdin.read()"; }
taker_pid=$!
read -r -u "${taker[0]}"
check "a port that was taken is replaced" "$quickstart"
check "by another one" fails grep -q ":$port\$" "$STUB/agent-address"
check "which the agent is told" grep -qF "$(cat "$STUB/agent-address")" "$EW_QUICKSTART_DIR/agent.conf"
kill "$taker_pid"

server=$(saved_pid server)
agent=$(saved_pid agent)
echo "$$ 1" >"$EW_QUICKSTART_DIR/agent.pid"
check "a pid that is another process's is not ended" "$quickstart" --stop
check "the test lives" kill -0 $$
check "its own server ended" gone "$server"
kill "$agent"
check "clean" "$quickstart" --clean
check "nothing is left" [ ! -e "$EW_QUICKSTART_DIR" ]
check "nor in the list of environments" fails grep -q sample "$HOME/.conda/environments.txt"

"$root/packaging/sample/make-sample.sh" create mine requests-2.28.2-pyhd8ed1ab_0
check "with an environment there is no sample" fails prints "no conda environment" "$quickstart"
check "the environment is shown instead" prints "history '$HOME/.conda/envs/mine'" "$quickstart"
check "clean again" "$quickstart" --clean
check "the environment is left alone" [ -f "$HOME/.conda/envs/mine/conda-meta/history" ]

mkdir -p "$EW_QUICKSTART_DIR"
touch "$EW_QUICKSTART_DIR/precious"
check "another's folder is not cleaned" fails "$quickstart" --clean
check "nor used" fails "$quickstart"
check "it is still there" [ -f "$EW_QUICKSTART_DIR/precious" ]

[ "$failures" -eq 0 ] || { echo "$failures failed"; exit 1; }
