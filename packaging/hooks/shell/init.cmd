@rem envwarden for cmd.exe: asks the agent before conda, mamba, micromamba or pixi activate an environment.
@rem It must lie in a file, as it is also what the macros call, with the tool as it is started and its words:
@rem   envwarden shell-init cmd > "%LOCALAPPDATA%\envwarden-init.cmd"
@rem Each prompt reads it at its start by the value AutoRun. See what stands there already, as by "conda init":
@rem   reg query "HKCU\Software\Microsoft\Command Processor" /v AutoRun
@rem and put this behind it (OLD & if exist ...), since the macros set last are those that hold; alone:
@rem   reg add "HKCU\Software\Microsoft\Command Processor" /v AutoRun /d "if exist \"%LOCALAPPDATA%\envwarden-init.cmd\" \"%LOCALAPPDATA%\envwarden-init.cmd\""
@if not "%1"=="" goto gate
@for %%t in (conda mamba micromamba pixi) do @doskey %%t=call "%~f0" %%t $*
@rem Where they are, those that can activate; a program of the same name may come first.
@for %%t in (conda.bat mamba.bat micromamba.bat) do @if not "%%~$PATH:t"=="" doskey %%~nt=call "%~f0" %%t $*
@exit /b
:gate
@@ENVWARDEN@ check --hook --typed -- %*
@rem Only status 4 refuses: a command that is missing (9009) or crashes (below 0) lets all go on.
@if errorlevel 4 if not errorlevel 5 exit /b 4
@%*
