@echo off
setlocal
rem Python 3.11 is tried first: all tests ran with it.
set python=
for %%v in (3.11 3.13 3.12) do if not defined python py -%%v -c "" >nul 2>nul && set python=py -%%v
if not defined python python -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" >nul 2>nul && set python=python
if not defined python goto missing
if /i "%~1"=="shortcut" goto shortcut
%python% "%~dp0utils\Launch.py" run %*
set code=%errorlevel%
goto end

:shortcut
%python% "%~dp0utils\Launch.py" shortcut
set code=%errorlevel%
goto end

:missing
echo Python 3.11, 3.12 or 3.13 was not found on this computer.
echo Install it from https://www.python.org/downloads/windows/ and start run.bat again.
set code=1

:end
rem A console opened by a double click would close before the message is read.
if not %code%==0 echo %cmdcmdline% | find /i "%~nx0" >nul && pause
exit /b %code%
