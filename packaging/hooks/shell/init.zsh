# envwarden for zsh: asks the agent before conda, mamba or micromamba activate an environment.
# Evaluated by: eval "$(envwarden shell-init zsh)"
typeset -g __envwarden_command=@ENVWARDEN@

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
__envwarden_gate() {
	emulate -L zsh
	local tool="$1"
	local -a target
	[[ "${2-}" == activate ]] || return 0
	[[ -x "$__envwarden_command" ]] || return 0
	shift 2
	while (( $# > 0 )); do
		case "$1" in
		(-h|--help) return 0 ;;
		(-n|--name) target=(--name "${2-}"); (( $# > 1 )) && shift ;;
		(-p|--prefix) target=(--prefix "${2-}"); (( $# > 1 )) && shift ;;
		(--name=*|--prefix=*) target=("$1") ;;
		(-*) ;;
		(*) target=(-- "$1") ;;
		esac
		shift
	done
	(( $#target > 0 )) || target=(-- base)
	command "$__envwarden_command" check --hook --tool "$tool" "${target[@]}" </dev/null 1>&2
	(( $? != 4 )) || return 4
}

# The tools' own functions may be defined, or defined again, after this: at each prompt, look.
__envwarden_prompt() {
	local before=$? tool
	for tool in conda mamba micromamba; do
		(( $+functions[$tool] )) || continue
		[[ "$functions[$tool]" != *__envwarden_gate* ]] || continue
		functions[__envwarden_own_$tool]="$functions[$tool]"
		functions[$tool]="__envwarden_gate $tool \"\$@\" || return; __envwarden_own_$tool \"\$@\""
	done
	return $before
}

zmodload zsh/parameter
typeset -ga precmd_functions
(( $precmd_functions[(Ie)__envwarden_prompt] )) || precmd_functions+=(__envwarden_prompt)
__envwarden_prompt
