#!/usr/bin/env bash
# Stands in for each of the four programs in test_quickstart.sh, by the name it is called with. It
# knows just what the quickstart asks of them, and keeps its facts as files in $STUB.
set -euo pipefail

option() {
	local wanted=$1
	shift
	while [ $# -gt 1 ]; do
		if [ "$1" = "$wanted" ]; then
			echo "$2"
			return
		fi
		shift
	done
}

documents() {
	local line
	printf '{"environments":['
	while read -r line; do
		[ ! -d "$line/conda-meta" ] || printf '{"prefix":"%s"},' "$line"
	done < <(cat "$HOME/.conda/environments.txt" 2>/dev/null)
	printf '{}]}\n'
}

alive() {
	[ -f "$STUB/$1" ] && kill -0 "$(cat "$STUB/$1")" 2>/dev/null
}

serve() {
	local name=$1 ready=$2
	echo $$ >"$STUB/$name"
	echo "$name" >>"$STUB/starts"
	touch "$ready"
	trap 'exit 0' TERM
	while :; do
		sleep 0.1
	done
}

echo "$(basename "$0") $*" >>"$STUB/calls"
case "$(basename "$0") $*" in
"envwarden-server init "*)
	mkdir "$(option --state-dir "$@")"
	printf 'agent_address = %s\nadmin_address = %s\n' "$(option --agent-address "$@")" \
		"$(option --admin-address "$@")" >"$(option --state-dir "$@")/server.conf"
	echo "First password of user admin: s3cret"
	;;
"envwarden-server serve "*)
	sed -n 's/^agent_address = //p' "$(option --state-dir "$@")/server.conf" >"$STUB/agent-address"
	serve server "$(option --ready-file "$@")"
	;;
"envwarden-server join-code create "*) echo "EWJOIN-1" ;;
"envwarden-admin "*" login "*)
	alive server
	[ "$(cat "$(option --password-file "$@")")" = s3cret ]
	;;
"envwarden-admin logging on") alive server ;;
"envwarden-admin env list"*) documents ;;
"envwardend "*) serve agent "$STUB/agent-ready" ;;
"envwarden --socket "*" status"*)
	alive agent || exit 3
	printf '{"enrolled":%s,"connected":true}\n' "$([ -f "$STUB/enrolled" ] && echo true || echo false)"
	;;
"envwarden --socket "*" enroll "*)
	[ "$(cat "$(option --join-file "$@")")" = "EWJOIN-1" ]
	touch "$STUB/enrolled"
	;;
"envwarden --socket "*" list"*) documents ;;
"envwarden --socket "*" record "*) alive agent ;;
*)
	echo "stub: not known: $*" >&2
	exit 2
	;;
esac
