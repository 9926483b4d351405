# envwarden for nu: asks the agent before mamba, micromamba or pixi activate an environment, and at a
# prompt about one that became active past them.
# nu evaluates no text while it runs. Kept as a file, which config.nu reads at its end, behind mamba's:
#   envwarden shell-init nu | save -f ($nu.default-config-dir | path join envwarden.nu)
#   source envwarden.nu
alias __envwarden_own_mamba = mamba activate
alias __envwarden_own_micromamba = micromamba activate

module __envwarden {
    const command = @ENVWARDEN@

    def --wrapped blocked [...words] {
        if not ($command | path exists) { return false }
        let told = try { "" | ^$command check --hook ...$words | complete } catch { return false }
        print --stderr --no-newline $told.stderr
        $told.exit_code == 4
    }

    # The words behind the tool, unless they would activate a blocked environment.
    def --wrapped may [tool: string, ...words] {
        if (blocked --tool $tool --typed -- ...$words) {
            error make --unspanned {msg: "envwarden: it was not activated"}
        }
        $words
    }

    # What is active in this shell was asked about. With the shell's number: others inherit it.
    def --env passed [] {
        $env.__envwarden_seen = $"($nu.pid):($env.CONDA_PREFIX?)"
    }

    # Nothing may stand before the tool there: it takes what is piped in.
    export def --wrapped "mamba run" [...words] { ^mamba ...(may mamba run ...$words) }
    export def --wrapped "micromamba run" [...words] { ^micromamba ...(may micromamba run ...$words) }
    export def --wrapped "pixi run" [...words] { ^pixi ...(may pixi run ...$words) }
    export def --wrapped "pixi r" [...words] { ^pixi ...(may pixi run ...$words) }
    export def --wrapped "pixi shell" [...words] { ^pixi ...(may pixi shell ...$words) }
    export def --wrapped "pixi s" [...words] { ^pixi ...(may pixi shell ...$words) }
    export def --wrapped "pixi shell-hook" [...words] { ^pixi ...(may pixi shell-hook ...$words) }

    export def --env "mamba activate" [name: string] {
        __envwarden_own_mamba (may mamba activate $name | last)
        passed
    }
    export def --env "micromamba activate" [name: string] {
        __envwarden_own_micromamba (may micromamba activate $name | last)
        passed
    }

    # What is active now was not asked about: it was activated past the gate, or before this shell.
    export def --env __envwarden_look [] {
        if $env.__envwarden_seen? == $"($nu.pid):($env.CONDA_PREFIX?)" { return }
        passed
        if ($env.CONDA_PREFIX? | is-not-empty) and (blocked --active --prefix $env.CONDA_PREFIX) {
            print --stderr 'envwarden: leave it: "exit" this shell, or deactivate it.'
        }
    }
}
use __envwarden *

$env.config.hooks.env_change = ($env.config.hooks.env_change? | default {}
    | upsert CONDA_PREFIX {|hooks| $hooks.CONDA_PREFIX? | default []
        | where {|hook| ($hook | describe) !~ "^record" or $hook.code? != "__envwarden_look" }
        | append {code: "__envwarden_look"} })
