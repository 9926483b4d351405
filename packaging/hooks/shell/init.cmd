@rem envwarden for cmd.exe: asks the agent before conda, mamba, micromamba or pixi activate an environment.
@rem It must lie in a file, as it is also what the macros call, with the tool as it is started and its words:
@rem   envwarden shell-init cmd > "%LOCALAPPDATA%\envwarden-init.cmd"
@rem Each prompt reads it at its start by the value AutoRun. See what stands there already, as by "conda init":
@rem   reg query "HKCU\Software\Microsoft\Command Processor" /v AutoRun
@rem and put this behind it, as "(OLD) & if exist ...", since the macros set last are those that hold; alone:
@rem   reg add "HKCU\Software\Microsoft\Command Processor" /v AutoRun /d "if exist \"%LOCALAPPDATA%\envwarden-init.cmd\" \"%LOCALAPPDATA%\envwarden-init.cmd\""
@if not "%1"=="" goto gate
@rem A .bat in PATH is what can activate, even where a program of that name comes first.
@for %%b in (conda.bat mamba.bat micromamba.bat pixi.bat) do @if not "%%~$PATH:b"=="" doskey %%~nb=call "%~f0" %%b $*
@for %%b in (conda.bat mamba.bat micromamba.bat pixi.bat) do @if "%%~$PATH:b"=="" doskey %%~nb=call "%~f0" %%~nb $*
@exit /b
:gate
@@ENVWARDEN@ check --hook --typed -- %*
@rem Only status 4 refuses: a command that is missing (9009) or crashes (below 0) lets all go on.
@if errorlevel 4 if not errorlevel 5 exit /b 4
@%*
