# envwarden for fish: asks the agent before conda, mamba, micromamba or pixi activate an environment,
# and at a prompt about one that became active past them.
# Evaluated by: envwarden shell-init fish | source

# __envwarden_check WORDS: 4 if the environment they name is blocked, else 0.
function __envwarden_check
    test -x @PRESENT@; or return 0
    command @RUN@ check --hook $argv </dev/null 1>&2
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

# __envwarden_wrap TOOL: puts the gate in front of its function.
function __envwarden_wrap
    functions $argv[1] | string match -q '*__envwarden_gate*'; and return
    functions -e __envwarden_own_$argv[1]
    functions -c $argv[1] __envwarden_own_$argv[1]
    set -l run "__envwarden_gate $argv[1] \$argv; or return"
    test $argv[1] != conda; or set run :
    eval "function $argv[1]
        switch \"\$argv[1]\"
            case activate
                __envwarden_gate $argv[1] \$argv; or return
                __envwarden_own_$argv[1] \$argv; or return
                __envwarden_passed
            case run
                $run
                __envwarden_own_$argv[1] \$argv
            case '*'
                __envwarden_own_$argv[1] \$argv
        end
    end"
end

function __envwarden_pixi
    if string match -qr -- '^(shell|s|run|r|shell-hook)$' $argv
        __envwarden_gate pixi $argv; or return
    end
    command pixi $argv
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

# The tools' own functions may be defined, or defined again, after this: at each prompt, look.
# Nothing is started for that, nor for an environment that was asked about.
function __envwarden_wrap_all
    for tool in conda mamba micromamba
        functions -q $tool; and __envwarden_wrap $tool
    end
    if not functions -q pixi; and command -q pixi
        function pixi --wraps pixi
            __envwarden_pixi $argv
        end
    end
end

function __envwarden_prompt --on-event fish_prompt
    __envwarden_wrap_all
    test "$__envwarden_seen" = "$fish_pid:$CONDA_PREFIX"; or __envwarden_look
end
__envwarden_wrap_all
