# envwarden for bash: asks the agent before conda, mamba, micromamba or pixi activate an environment,
# and at a prompt about one that became active past them.
# Evaluated, at the end of ~/.bashrc, by: eval "$(envwarden shell-init bash)"
__envwarden_command=@ENVWARDEN@

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
__envwarden_gate() {
	[ -x "$__envwarden_command" ] || return 0
	command "$__envwarden_command" check --hook --tool "$1" --typed -- "${@:2}" </dev/null 1>&2 ||
		[ $? -ne 4 ] || return 4
}

# What is active in this shell was asked about. With the shell's number: it may be exported.
__envwarden_passed() {
	[ "$1" -ne 0 ] || __envwarden_seen="$$:${CONDA_PREFIX-}"
	__envwarden_hook
	return "$1"
}

# __envwarden_wrap TOOL: puts the gate in front of its function.
__envwarden_wrap() {
	local definition
	definition="$(declare -f "$1")" || return 0
	case "$definition" in
	*__envwarden_gate*) return 0 ;;
	esac
	eval "__envwarden_own_$definition"
	eval "$1() {
		case \"\${1-}\" in
		activate) ;;
		run)
			[ $1 = conda ] || __envwarden_gate $1 \"\$@\" || return
			__envwarden_own_$1 \"\$@\"
			return
			;;
		*)
			__envwarden_own_$1 \"\$@\"
			return
			;;
		esac
		__envwarden_gate $1 \"\$@\" || return
		__envwarden_own_$1 \"\$@\"
		__envwarden_passed \$?
	}"
}

__envwarden_pixi() {
	case " $* " in
	*" shell "* | *" s "* | *" run "* | *" r "* | *" shell-hook "*)
		__envwarden_gate pixi "$@" || return
		;;
	esac
	command pixi "$@"
}

# The tools' own functions may be defined, or defined again, after this: at each prompt, look.
# Nothing is started for that as long as nothing has changed.
__envwarden_wrap_all() {
	local tool state="${CONDA_EXE-}:${CONDA_SHLVL-}:${MAMBA_EXE-}:${CONDA_PREFIX-}"
	for tool in conda mamba micromamba; do
		declare -F "$tool" >/dev/null || continue
		case "${__envwarden_wrapped-}" in
		*" $tool "*) [ "$state" != "${__envwarden_state-}" ] || continue ;;
		*) __envwarden_wrapped="${__envwarden_wrapped-} $tool " ;;
		esac
		__envwarden_wrap "$tool"
	done
	__envwarden_state="$state"
	if ! declare -F pixi >/dev/null && type -P pixi >/dev/null; then
		pixi() { __envwarden_pixi "$@"; }
	fi
}

# What is active now was not asked about: it was activated past the gate, or before this shell.
__envwarden_look() {
	__envwarden_seen="$$:${CONDA_PREFIX-}"
	[ -n "${CONDA_PREFIX-}" ] && [ -x "$__envwarden_command" ] || return 0
	command "$__envwarden_command" check --hook --active --prefix "$CONDA_PREFIX" </dev/null 1>&2 ||
		[ $? -ne 4 ] || __envwarden_leave
}

__envwarden_leave() {
	local tool before="$CONDA_PREFIX"
	for tool in conda mamba micromamba; do
		declare -F "$tool" >/dev/null || continue
		case "$before:${CONDA_SHLVL:-0}" in
		*/.pixi/envs/*:* | *:0) break ;;
		esac
		"$tool" deactivate </dev/null >/dev/null || :
		break
	done
	if [ "${CONDA_PREFIX-}" = "$before" ]; then
		echo 'envwarden: leave it: "exit" this shell, or "conda deactivate".' >&2
	else
		echo 'envwarden: it was deactivated.' >&2
	fi
}

__envwarden_prompt() {
	local before=$?
	__envwarden_wrap_all
	[ "${__envwarden_seen-}" = "$$:${CONDA_PREFIX-}" ] || __envwarden_look
	case "$-" in
	*e*) return 0 ;; # what failed before is over; this must not end the shell
	esac
	return $before
}

__envwarden_hook() {
	case " ${PROMPT_COMMAND[*]-} " in
	*__envwarden_prompt*) return 0 ;;
	esac
	if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
		PROMPT_COMMAND+=(__envwarden_prompt)
	else
		PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}__envwarden_prompt"
	fi
}
__envwarden_hook
__envwarden_wrap_all
