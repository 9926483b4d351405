@rem envwarden for cmd.exe: asks the agent before conda, mamba, micromamba or pixi activate an environment.
@rem Kept as a file that each prompt reads at its start:
@rem   envwarden shell-init cmd > "%LOCALAPPDATA%\envwarden-init.cmd"
@rem   reg add "HKCU\Software\Microsoft\Command Processor" /v AutoRun /d "\"%LOCALAPPDATA%\envwarden-init.cmd\""
@rem Only status 4 refuses: a command that is missing (9009) or crashes (below 0) lets all go on.
@doskey conda=@ENVWARDEN@ check --hook --tool conda --typed -- $* $T if errorlevel 4 ( if errorlevel 5 call conda.bat $* ) else call conda.bat $*
@doskey mamba=@ENVWARDEN@ check --hook --tool mamba --typed -- $* $T if errorlevel 4 ( if errorlevel 5 call mamba.bat $* ) else call mamba.bat $*
@doskey micromamba=@ENVWARDEN@ check --hook --tool micromamba --typed -- $* $T if errorlevel 4 ( if errorlevel 5 call micromamba.bat $* ) else call micromamba.bat $*
@doskey pixi=@ENVWARDEN@ check --hook --tool pixi --typed -- $* $T if errorlevel 4 ( if errorlevel 5 pixi.exe $* ) else pixi.exe $*
