# envwarden for bash: asks the agent before conda, mamba or micromamba activate an environment.
# Evaluated by: eval "$(envwarden shell-init bash)"
__envwarden_command=@ENVWARDEN@

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
__envwarden_gate() {
	local tool="$1"
	local -a target=()
	[ "${2-}" = activate ] || return 0
	[ -x "$__envwarden_command" ] || return 0
	shift 2
	while [ $# -gt 0 ]; do
		case "$1" in
		-h | --help) return 0 ;;
		-n | --name) target=(--name "${2-}") && shift ;;
		-p | --prefix) target=(--prefix "${2-}") && shift ;;
		--name=* | --prefix=*) target=("$1") ;;
		-*) ;;
		*) target=(-- "$1") ;;
		esac
		[ $# -gt 0 ] && shift
	done
	[ ${#target[@]} -gt 0 ] || target=(-- base)
	command "$__envwarden_command" check --hook --tool "$tool" "${target[@]}" </dev/null 1>&2
	[ $? -ne 4 ] || return 4
}

# The tools' own functions may be defined, or defined again, after this: at each prompt, look.
__envwarden_prompt() {
	local status=$? tool definition
	for tool in conda mamba micromamba; do
		definition="$(declare -f "$tool")" || continue
		case "$definition" in
		*__envwarden_gate*) continue ;;
		esac
		eval "__envwarden_own_$definition"
		eval "$tool() { __envwarden_gate $tool \"\$@\" || return; __envwarden_own_$tool \"\$@\"; }"
	done
	return $status
}

case " ${PROMPT_COMMAND[*]-} " in
*__envwarden_prompt*) ;;
*)
	if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
		PROMPT_COMMAND+=(__envwarden_prompt)
	else
		PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}__envwarden_prompt"
	fi
	;;
esac
__envwarden_prompt
