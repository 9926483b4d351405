#!/usr/bin/env bash
# A whole envwarden on this machine, on loopback, for trying it out: org server and agent, enrolled
# and logging. Asks nothing; can be run again at any time, and mends what has stopped.
#
#   packaging/quickstart.sh             install what is missing, build, start, show
#   packaging/quickstart.sh --status    what runs, and the environments (exit 1: something does not run)
#   packaging/quickstart.sh --stop      end both programs; nothing is lost
#   packaging/quickstart.sh --clean     end them and remove everything this script made
#
# Everything is in one folder: $EW_QUICKSTART_DIR, else ~/.local/state/envwarden-quickstart.
# The agent runs as you and sees your environments only. Needs no root but to install packages.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
state=$(realpath -m "${EW_QUICKSTART_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/envwarden-quickstart}")
marker=$state/.made-by-envwarden-quickstart
socket=$state/agent.sock
first_password=$state/first-password
export ENVWARDEN_ADMIN_CONFIG=$state/admin.conf
umask 077

say() {
	printf '%s\n' "$*"
}

die() {
	printf 'quickstart: %s\n' "$*" >&2
	exit 1
}

# --- programs: built from the source tree this script is in, else those that are installed

find_programs() {
	local program
	bin=
	if [ -f "$here/../CMakeLists.txt" ]; then
		bin=$(realpath "$here/..")/build/release/bin/
	fi
	for program in envwarden envwardend envwarden-server envwarden-admin; do
		command -v "$bin$program" >/dev/null || return 1
	done
}

build_programs() {
	[ -f "$here/../CMakeLists.txt" ] || return 0
	"$here/deps/install.sh" build
	say "building (build/release) ..."
	mkdir -p "$here/../build"
	if ! (cd "$here/.." && cmake --preset release -DEW_TESTS=OFF -DEW_WERROR="${CI:+ON}" &&
		cmake --build --preset release) \
		>"$here/../build/quickstart.log" 2>&1; then
		tail -n 30 "$here/../build/quickstart.log" >&2
		die "the build failed; all of its output is in build/quickstart.log"
	fi
}

agent_command() {
	"${bin}envwarden" --socket "$socket" "$@"
}

admin_command() {
	"${bin}envwarden-admin" "$@"
}

# --- processes: a pid file holds the pid and its start time, so that a reused pid is never taken
# for ours

start_time() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# Fields after the program's name, which may hold blanks and parentheses.
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	[ "$1" != Z ] && echo "${20}"
}

# The pid of one of our processes, or nothing.
running() {
	local pid="" since=""
	[ -f "$state/$1.pid" ] || return 1
	read -r pid since <"$state/$1.pid" || true
	[ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ] && echo "$pid"
}

# launch NAME PROGRAM ARGUMENT...: in a session of its own, writing to NAME.log.
launch() {
	local name=$1 pid
	shift
	setsid "$@" </dev/null >>"$state/$name.log" 2>&1 9>&- &
	pid=$!
	echo "$pid $(start_time "$pid" || true)" >"$state/$name.pid"
}

end() {
	local name=$1 pid tries
	if pid=$(running "$name"); then
		kill -TERM "$pid" 2>/dev/null || true
		for tries in $(seq 100); do
			running "$name" >/dev/null || break
			sleep 0.1
		done
		if [ "$tries" -eq 100 ] && running "$name" >/dev/null; then
			say "$name does not end by itself; killing it"
			kill -KILL "$pid" 2>/dev/null || true
		fi
		say "$name ended (pid $pid)"
	fi
	rm -f "$state/$name.pid"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local tries=$(($1 * 5))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.2
	done
}

# --- ports

taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the range the system hands out by itself, so that a port stays free while we are stopped.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		taken "$port" || break
	done
	echo "$port"
}

choose_ports() {
	agent_port=$(free_port)
	admin_port=$(free_port)
	while [ "$admin_port" = "$agent_port" ]; do
		admin_port=$(free_port)
	done
	echo "$agent_port $admin_port" >"$state/ports"
	# The agent's own word goes before the address it enrolled at, which may be another's by now.
	echo "server = 127.0.0.1:$agent_port" >"$state/agent.conf"
	if [ -f "$state/server/server.conf" ]; then
		sed -i -e "s/^agent_address *=.*/agent_address = 127.0.0.1:$agent_port/" \
			-e "s/^admin_address *=.*/admin_address = 127.0.0.1:$admin_port/" \
			"$state/server/server.conf"
	fi
}

load_ports() {
	[ -f "$state/ports" ] && read -r agent_port admin_port <"$state/ports" && [ -n "$admin_port" ]
}

# --- the server

# The password's file is written last: without it, an interrupted run left half a server.
init_server() {
	[ ! -s "$first_password" ] || return 0
	rm -rf "$state/server"
	"${bin}envwarden-server" init --state-dir "$state/server" --organisation "Quickstart" \
		--agent-address "127.0.0.1:$agent_port" --admin-address "127.0.0.1:$admin_port" \
		>"$state/init.out" || die "the server could not be set up"
	sed -n 's/^.*[Pp]assword[^:]*: *\([^ ]\{1,\}\) *$/\1/p' "$state/init.out" |
		head -n 1 >"$first_password.new"
	[ -s "$first_password.new" ] || die "the server told no first password: $state/init.out"
	rm -f "$state/init.out"
	mv "$first_password.new" "$first_password"
}

server_ready() {
	[ -e "$state/server.ready" ]
}

server_up_or_dead() {
	server_ready || ! running server
}

start_server() {
	local try
	for try in 1 2 3; do
		if ! load_ports || taken "$agent_port" || taken "$admin_port"; then
			choose_ports
		fi
		init_server
		rm -f "$state/server.ready"
		launch server "${bin}envwarden-server" serve --state-dir "$state/server" \
			--ready-file "$state/server.ready"
		wait_for 30 server_up_or_dead || true
		if server_ready; then
			say "server started (pid $(running server))"
			return
		fi
		end server
		# Somebody may have taken a port between the look and the start.
		if ! taken "$agent_port" && ! taken "$admin_port"; then
			break
		fi
	done
	tail -n 20 "$state/server.log" >&2
	die "the server did not start (try $try); see $state/server.log"
}

log_in() {
	admin_command --server "https://127.0.0.1:$admin_port" --ca "$state/server/ca.pem" \
		login --user admin --password-file "$first_password" >/dev/null
}

# --- the agent

agent_answers() {
	local rc=0
	agent_command status >/dev/null 2>&1 || rc=$?
	[ "$rc" -ne 3 ] && [ "$rc" -lt 126 ]
}

enrolled() {
	agent_command status --json 2>/dev/null | tr -d ' \n' | grep -q '"enrolled":true'
}

connected() {
	agent_command status --json 2>/dev/null | tr -d ' \n' | grep -q '"connected":true'
}

start_agent() {
	mkdir -p "$state/agent"
	launch agent "${bin}envwardend" --user --foreground --config "$state/agent.conf" \
		--state-dir "$state/agent" --socket "$socket"
	if ! wait_for 20 agent_answers; then
		tail -n 20 "$state/agent.log" >&2
		die "the agent does not answer; see $state/agent.log"
	fi
	say "agent started (pid $(running agent))"
}

enroll() {
	"${bin}envwarden-server" join-code create --state-dir "$state/server" --uses 1 --expires 1d \
		>"$state/join-code"
	agent_command enroll --join-file "$state/join-code" --yes || die "this machine could not be enrolled"
	rm -f "$state/join-code"
}

# --- environments

count() {
	grep -o '"prefix"' | wc -l
}

local_count() {
	agent_command list --json 2>/dev/null | count
}

server_has_all() {
	[ "$(admin_command env list --json 2>/dev/null | count)" -ge "$1" ]
}

make_sample() {
	if [ ! -d "$state/envs/sample" ]; then
		"$here/sample/make-sample.sh" create "$state/envs/sample" \
			ca-certificates-2024.2.2-hf0a4a13_0 libsqlite-3.40.0-hcfcfb64_0
		"$here/sample/make-sample.sh" install "$state/envs/sample" \
			libsqlite-3.45.3-h091b4b1_0 requests-2.28.2-pyhd8ed1ab_0
	fi
	say "This account has no conda environment. One was made for you to try things on:"
	say "  $state/envs/sample   (real package records, but no packages' files)"
}

find_environments() {
	agent_command record --all >/dev/null || die "the environments could not be recorded"
	if [ "$(local_count)" -eq 0 ]; then
		make_sample
		agent_command record "$state/envs/sample" >/dev/null || die "the sample could not be recorded"
	fi
	wait_for 30 server_has_all "$(local_count)" ||
		say "The server has not heard of all environments yet; it will in a moment."
}

show() {
	local prefix again=$0
	[ -z "${EW_QUICKSTART_DIR:-}" ] || again="EW_QUICKSTART_DIR='$state' $0"
	say ""
	admin_command env list
	prefix=$(agent_command list --json | tr -d '\n' | sed -n 's/.*"prefix" *: *"\([^"]*\)".*/\1/p')
	# None any more: the commands that make one are what to try.
	[ -n "$prefix" ] || prefix=$state/envs/sample
	cat <<-END

		Admin    https://127.0.0.1:$admin_port   user admin, first password $(cat "$first_password")
		State    $state   (server.log, agent.log)

		Try next, in this shell:
		  export PATH="${bin:-$(dirname "$(command -v envwarden)")/}:\$PATH"
		  export ENVWARDEN_SOCKET='$socket' ENVWARDEN_ADMIN_CONFIG='$ENVWARDEN_ADMIN_CONFIG'
		  envwarden-admin env set-status '$prefix' block --message "Not this one."
		  envwarden check --prefix '$prefix'; echo "exit status \$?"      # 4 = blocked
		  envwarden-admin env set-status '$prefix' ok
		  envwarden history '$prefix'

		Stop: $again --stop    Remove: $again --clean
	END
}

# --- what can be asked for

own_state() {
	[ -f "$marker" ] || die "$state was not made by this script"
}

# One run at a time; descriptor 9 is the lock and is kept from the programs started.
lock() {
	exec 9>"$state/lock"
	flock -w 600 9 || die "another run holds $state/lock"
}

start() {
	# The agent's socket is in there, and socket paths are short.
	[ ${#socket} -le 100 ] || die "$state is too long a path; set EW_QUICKSTART_DIR to a shorter one"
	if [ -e "$state" ] && [ ! -f "$marker" ] && [ -n "$(ls -A "$state")" ]; then
		die "$state exists and was not made by this script; set EW_QUICKSTART_DIR"
	fi
	mkdir -p "$state"
	: >"$marker"
	lock
	build_programs
	find_programs || die "envwarden's programs are neither built here nor installed"
	if running server >/dev/null && load_ports; then
		say "server runs already (pid $(running server))"
	else
		# An agent that was told another port would not find the server.
		end agent
		start_server
	fi
	log_in || die "the admin command cannot log in; see $state/server.log"
	admin_command logging on >/dev/null
	if running agent >/dev/null && agent_answers; then
		say "agent runs already (pid $(running agent))"
	else
		end agent
		start_agent
	fi
	enrolled || enroll
	wait_for 30 connected || say "The agent is not connected yet; see $state/agent.log"
	find_environments
	show
}

status() {
	local name pid rc=0
	own_state
	for name in server agent; do
		if pid=$(running "$name"); then
			say "$name runs (pid $pid)"
		else
			say "$name does not run"
			rc=1
		fi
	done
	if [ $rc -eq 0 ] && load_ports && find_programs; then
		show
	fi
	return $rc
}

stop() {
	own_state
	lock
	end agent
	end server
}

clean() {
	if [ ! -e "$state" ]; then
		say "nothing to remove"
		return
	fi
	stop
	if [ -d "$state/envs/sample" ]; then
		"$here/sample/make-sample.sh" delete "$state/envs/sample"
	fi
	rm -rf "$state"
	say "removed $state"
}

case ${1:-} in
'') start ;;
--status) status ;;
--stop) stop ;;
--clean) clean ;;
*)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
