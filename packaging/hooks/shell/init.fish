# envwarden for fish: asks the agent before conda, mamba, micromamba or pixi activate an environment,
# and at a prompt about one that became active past them.
# Evaluated by: envwarden shell-init fish | source

# __envwarden_check WORDS: 4 if the environment they name is blocked, else 0.
function __envwarden_check
    test -x @PRESENT@; or return 0
    command @RUN@ check --hook $argv </dev/null >/dev/null
    test $status -ne 4; or return 4
end

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
function __envwarden_gate
    __envwarden_check --tool $argv[1] --typed -- $argv[2..-1]
end

# What is active in this shell was asked about. With the shell's number: it may be exported.
function __envwarden_passed
    set -g __envwarden_seen "$fish_pid:$CONDA_PREFIX"
end

# __envwarden_wrap TOOL [program]: puts the gate in front of its function, or of the program.
function __envwarden_wrap
    set -l own "command $argv[1]"
    if test (count $argv) -lt 2
        set own __envwarden_own_$argv[1]
        while functions -q $own # others may have copied what calls it
            set own {$own}_
        end
        functions -c $argv[1] $own
    end
    set -l run "__envwarden_gate $argv[1] \$argv; or return"
    test $argv[1] != conda; or set run :
    set -l other :
    test $argv[1] != pixi; or set other "__envwarden_pixi \$argv; or return"
    eval "function $argv[1] --description 'gated by envwarden'
        switch \"\$argv[1]\"
            case activate
                __envwarden_gate $argv[1] \$argv; or return
                $own \$argv; or return
                __envwarden_passed
            case run
                $run
                $own \$argv
            case '*'
                $other
                $own \$argv
        end
    end"
end

# __envwarden_pixi ARGUMENTS: asks where a word of them is one of these.
function __envwarden_pixi
    not string match -qr -- '^(shell|s|run|r|shell-hook)$' $argv; or __envwarden_gate pixi $argv
end

# What is active now was not asked about: it was activated past the gate, or before this shell.
function __envwarden_look
    __envwarden_passed
    test -z "$CONDA_PREFIX"; or __envwarden_check --active --prefix $CONDA_PREFIX; or __envwarden_leave
end

function __envwarden_leave
    set -l before "$CONDA_PREFIX"
    if not string match -q '*/.pixi/envs/*' $before; and test -n "$CONDA_SHLVL" -a "$CONDA_SHLVL" != 0
        for tool in conda mamba micromamba
            functions -q $tool; or continue
            functions $tool | string match -q "*command $tool *"; and continue # a mere program
            $tool deactivate </dev/null >/dev/null
            break
        end
    end
    if test "$CONDA_PREFIX" = "$before"
        echo 'envwarden: leave it: "exit" this shell, or "conda deactivate".' >&2
    else
        echo 'envwarden: it was deactivated.' >&2
    end
end

# The tools' own functions may be defined, or defined again, after this, or a program found: at each
# prompt, look. Nothing is started for that, nor PATH searched as long as it stays the same.
function __envwarden_wrap_all
    set -l changed 1
    test "$__envwarden_path" != "$PATH"; or set changed
    set -g __envwarden_path "$PATH"
    for tool in conda mamba micromamba pixi
        if functions -q $tool
            set -l about (functions -Dv $tool)
            test "$about[5]" = 'gated by envwarden'; or __envwarden_wrap $tool
        else if test $tool != conda -a -n "$changed"; and command -q $tool
            __envwarden_wrap $tool program
        end
    end
end

function __envwarden_prompt --on-event fish_prompt
    __envwarden_wrap_all
    test "$__envwarden_seen" = "$fish_pid:$CONDA_PREFIX"; or __envwarden_look
end
__envwarden_wrap_all
