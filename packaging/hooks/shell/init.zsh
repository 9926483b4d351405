# envwarden for zsh: asks the agent before conda, mamba, micromamba or pixi activate an environment,
# and at a prompt about one that became active past them.
# Evaluated by: eval "$(envwarden shell-init zsh)"
# zsh reads it as a whole, with the aliases there are: "\" keeps them from words they may stand for.

# __envwarden_check WORDS: 4 if the environment they name is blocked, else 0.
__envwarden_check() {
	\emulate -L zsh
	[[ -x @PRESENT@ && ! -o restricted ]] || \return 0
	@RUN@ check --hook "$@" </dev/null >/dev/null || (( $? != 4 )) || \return 4
}

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
__envwarden_gate() {
	\emulate -L zsh
	__envwarden_check --tool "$1" --typed -- "${@:2}"
}

# What is active in this shell was asked about. With the shell's number: it may be exported.
__envwarden_passed() {
	\emulate -L zsh
	(( $1 != 0 )) || \typeset -g __envwarden_seen="$$:${CONDA_PREFIX-}"
	__envwarden_hook
	\return $1
}

# __envwarden_pixi ARGUMENTS: the same, where a word of them is one of these.
__envwarden_pixi() {
	\emulate -L zsh
	(( ! $argv[(I)(shell|s|run|r|shell-hook)] )) || __envwarden_gate pixi "$@"
}

# __envwarden_wrap TOOL [FUNCTION]: puts the gate in front of its function, or of the program.
__envwarden_wrap() {
	\emulate -L zsh
	\setopt no_aliases
	\local run="__envwarden_gate $1" own="command $1" body
	if (( $# > 1 )); then
		[[ "$2" != "builtin autoload -X"* ]] || \return 0 # once it is loaded
		own=__envwarden_own_$1
		while (( $+functions[$own] )); do own+=_; done # others may have copied what calls it
		functions[$own]="$2"
	fi
	[[ "$1" != conda ]] || run=:
	body=(
		'case "${1-}" in (activate) ;;'
		"(run) $run" '"$@" || return;' "$own" '"$@"; return ;;'
		"(*) $own" '"$@"; return ;;'
		"esac; __envwarden_gate $1" '"$@" || return;'
		"$own" '"$@"; __envwarden_passed "$?"'
	)
	[[ "$1" != "pixi" ]] || body=('__envwarden_pixi "$@" || return;' "$own" '"$@"')
	functions[$1]="${(j: :)body}"
}

# What is active now was not asked about: it was activated past the gate, or before this shell.
__envwarden_look() {
	\emulate -L zsh
	\typeset -g __envwarden_seen="$$:${CONDA_PREFIX-}"
	[[ -z "${CONDA_PREFIX-}" ]] || __envwarden_check --active --prefix "$CONDA_PREFIX" ||
		__envwarden_leave
}

__envwarden_leave() {
	\local tool before="$CONDA_PREFIX"
	for tool in conda mamba micromamba; do
		(( $+functions[$tool] )) || \continue
		[[ "$functions[$tool]" != *"command $tool "* ]] || \continue # a mere program
		[[ "$before" != */.pixi/envs/* && "${CONDA_SHLVL:-0}" != 0 ]] || \break
		$tool deactivate </dev/null >/dev/null || :
		\break
	done
	if [[ "${CONDA_PREFIX-}" == "$before" ]]; then
		\print -u2 'envwarden: leave it: "exit" this shell, or "conda deactivate".'
	else
		\print -u2 'envwarden: it was deactivated.'
	fi
}

# The tools' own functions may be defined, or defined again, after this, or a program found: at each
# prompt, look. Nothing is started for that, nor PATH searched as long as it stays the same.
__envwarden_wrap_all() {
	\emulate -L zsh
	[[ ! -o restricted ]] || \return 0
	\local tool before="${__envwarden_path-}"
	\typeset -g __envwarden_path="$PATH"
	for tool in conda mamba micromamba "pixi"; do
		if (( $+functions[$tool] )); then
			[[ "$functions[$tool]" != *__envwarden_gate* && "$functions[$tool]" != *__envwarden_pixi* ]] || \continue
			__envwarden_wrap $tool "$functions[$tool]"
		# Not $commands, for which zsh reads every folder of PATH.
		elif [[ "$tool" != conda && "$PATH" != "$before" ]] && \whence -p $tool >/dev/null; then
			__envwarden_wrap $tool
		fi
	done
}

__envwarden_prompt() {
	\emulate -L zsh
	__envwarden_wrap_all
	[[ "${__envwarden_seen-}" == "$$:${CONDA_PREFIX-}" ]] || __envwarden_look
} # zsh itself keeps the status from before

__envwarden_hook() {
	\emulate -L zsh
	\typeset -ga precmd_functions
	[[ "${(t)precmd_functions}" != *readonly* ]] || \return 0
	(( $precmd_functions[(Ie)__envwarden_prompt] )) || precmd_functions+=(__envwarden_prompt)
}

\zmodload zsh/parameter
__envwarden_hook
__envwarden_wrap_all
