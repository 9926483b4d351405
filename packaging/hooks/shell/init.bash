# envwarden for bash: asks the agent before conda, mamba, micromamba or pixi activate an environment,
# and at a prompt about one that became active past them.
# Evaluated, at the end of ~/.bashrc, by: eval "$(envwarden shell-init bash)"
# Nothing is declared local, which fails where somebody has a readonly variable of that name.
__envwarden_wrapped= # read again: they were, too
__envwarden_passing= # nothing of it comes from outside

# Aliases are for what people type, not for what is read here, from the next line on.
if \shopt -q expand_aliases; then __envwarden_aliases=-s; else __envwarden_aliases=-u; fi
\shopt -u expand_aliases

# __envwarden_check WORDS: 4 if the environment they name is blocked, else 0.
__envwarden_check() {
	[ -x @PRESENT@ ] || return 0
	@RUN@ check --hook "$@" </dev/null >/dev/null || [ "$?" -ne 4 ] || return 4
}

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
__envwarden_gate() {
	__envwarden_check --tool "$1" --typed -- "${@:2}"
}

# What is active in this shell was asked about. With the shell's number: it may be exported.
__envwarden_passed() {
	[ "$1" -ne 0 ] || __envwarden_seen="$$:${CONDA_PREFIX-}"
	__envwarden_hook
	return "$1"
}

# __envwarden_pixi ARGUMENTS: the same, where a word of them is one of these.
__envwarden_pixi() {
	for __envwarden_tool in "$@"; do
		case "$__envwarden_tool" in
		shell | s | run | r | shell-hook)
			__envwarden_gate pixi "$@"
			return
			;;
		esac
	done
}

# __envwarden_gated TOOL FUNCTION ARGUMENTS: the tool's function, behind the gate. It may go by
# another name: others' functions copy it to call it.
__envwarden_gated() {
	case "$1:${3-}" in
	*:activate | mamba:run | micromamba:run) __envwarden_gate "$1" "${@:3}" || return ;;
	pixi:*) __envwarden_pixi "${@:3}" || return ;;
	esac
	__envwarden_passing=1
	"${@:2}"
	set -- "$?" "${3-}"
	[ "$2" != activate ] || __envwarden_passed "$1"
	return "$1"
}

# Evaluates what was read once, so that aliases would be put in twice, perhaps with extglob.
__envwarden_evaluate() {
	if ! shopt -q extglob; then
		shopt -s extglob
		__envwarden_evaluate "$1"
		shopt -u extglob
	elif shopt -q expand_aliases; then
		shopt -u expand_aliases
		eval "$1"
		shopt -s expand_aliases
	else
		eval "$1"
	fi
}

# __envwarden_wrap TOOL TEXT: puts the gate into its function. Where an exported one arrives without
# the rest of this, it does what it always did.
__envwarden_wrap() {
	case "$2" in
	*__envwarden_gated*) return 0 ;;
	esac
	__envwarden_evaluate "function $1 {
		if [ -n \"\${__envwarden_passing-}\" ]; then
			__envwarden_passing=
		elif declare -F __envwarden_gated >/dev/null; then
			__envwarden_gated $1 \"\${FUNCNAME[0]}\" \"\$@\"
			return
		fi
	${2#*\{}"
}

# The tools' own functions may be defined, or defined again, after this, or a program found: at each
# prompt, look. Nothing is started for that, nor PATH searched, as long as nothing has changed.
__envwarden_wrap_all() {
	set -- "${CONDA_EXE-}:${CONDA_SHLVL-}:${MAMBA_EXE-}:${CONDA_PREFIX-}:${PATH-}" "${__envwarden_state-}"
	__envwarden_state="$1"
	for __envwarden_tool in conda mamba micromamba pixi; do
		if ! declare -F "$__envwarden_tool" >/dev/null; then
			[ "$1" != "$2" ] && [ "$__envwarden_tool" != conda ] &&
				type -P "$__envwarden_tool" >/dev/null || continue
			__envwarden_wrap "$__envwarden_tool" "{ command $__envwarden_tool \"\$@\"; }"
			continue
		fi
		case "${__envwarden_wrapped-}" in
		*" $__envwarden_tool "*) [ "$1" != "$2" ] || continue ;;
		*) __envwarden_wrapped="${__envwarden_wrapped-} $__envwarden_tool " ;;
		esac
		__envwarden_wrap "$__envwarden_tool" "$(declare -f "$__envwarden_tool")"
	done
}

# What is active now was not asked about: it was activated past the gate, or before this shell.
__envwarden_look() {
	__envwarden_seen="$$:${CONDA_PREFIX-}"
	[ -z "${CONDA_PREFIX-}" ] || __envwarden_check --active --prefix "$CONDA_PREFIX" ||
		__envwarden_leave
}

__envwarden_leave() {
	set -- "$CONDA_PREFIX"
	for __envwarden_tool in conda mamba micromamba; do
		case "$1:${CONDA_SHLVL:-0}" in
		*/.pixi/envs/*:* | *:0) break ;;
		esac
		case "$(declare -f "$__envwarden_tool")" in
		"" | *"command $__envwarden_tool "*) continue ;; # none, or a mere program
		esac
		"$__envwarden_tool" deactivate </dev/null >/dev/null || :
		break
	done
	if [ "${CONDA_PREFIX-}" = "$1" ]; then
		echo 'envwarden: leave it: "exit" this shell, or "conda deactivate".' >&2
	else
		echo 'envwarden: it was deactivated.' >&2
	fi
}

__envwarden_prompt() {
	set -- "${1-$?}"
	__envwarden_wrap_all
	[ "${__envwarden_seen-}" = "$$:${CONDA_PREFIX-}" ] || __envwarden_look
	return "$1"
}

# "&& :" keeps the status of what failed before, which is over, from ending a shell with "set -e" and
# from an ERR trap. An exported PROMPT_COMMAND comes to shells that know nothing of ours.
__envwarden_hook() {
	case " ${PROMPT_COMMAND[*]-} " in
	*__envwarden_prompt*) return 0 ;;
	esac
	set -- "$(declare -p PROMPT_COMMAND 2>/dev/null)" '__envwarden_was=$?; \declare -F __envwarden_prompt >/dev/null && __envwarden_prompt "$__envwarden_was" && :'
	case "${1%% PROMPT_COMMAND*}:$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] > 500))" in
	"declare -"*r*) ;; # readonly
	"declare -a"*1) PROMPT_COMMAND+=("$2") ;; # older ones run its first alone
	*)
		PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}$2"
		;;
	esac
}
if ! shopt -q restricted_shell; then # which can't start the command, nor do most of this
	__envwarden_hook
	__envwarden_wrap_all
fi
shopt "$__envwarden_aliases" expand_aliases
