# envwarden for fish: asks the agent before conda, mamba or micromamba activate an environment.
# Evaluated by: envwarden shell-init fish | source
set -g __envwarden_command @ENVWARDEN@

# __envwarden_gate TOOL ARGUMENTS: 4 if they would activate a blocked environment, else 0.
function __envwarden_gate
    set -l tool $argv[1]
    set -l target -- base
    test (count $argv) -ge 2; and test "$argv[2]" = activate; or return 0
    test -x "$__envwarden_command"; or return 0
    set -e argv[1..2]
    while test (count $argv) -gt 0
        switch $argv[1]
            case -h --help
                return 0
            case -n --name -p --prefix
                test (count $argv) -ge 2; or return 0
                set target --name $argv[2]
                string match -q -- '*p*' $argv[1]; and set target --prefix $argv[2]
                set -e argv[1]
            case '--name=*' '--prefix=*'
                set target $argv[1]
            case '-*'
            case '*'
                set target -- $argv[1]
        end
        set -e argv[1]
    end
    command $__envwarden_command check --hook --tool $tool $target </dev/null 1>&2
    test $status -ne 4; or return 4
end

# The tools' own functions may be defined, or defined again, after this: at each prompt, look.
function __envwarden_prompt --on-event fish_prompt
    for tool in conda mamba micromamba
        functions -q $tool; or continue
        functions $tool | string match -q '*__envwarden_gate*'; and continue
        functions -e __envwarden_own_$tool
        functions -c $tool __envwarden_own_$tool
        eval "function $tool; __envwarden_gate $tool \$argv; or return; __envwarden_own_$tool \$argv; end"
    end
end
__envwarden_prompt
