@echo off
setlocal
set python=py -3
where py >nul 2>nul || set python=python
%python% "%~dp0utils\Launch.py" run %*
set code=%errorlevel%
rem A double-clicked window would close before anybody has read why
if not %code%==0 echo %cmdcmdline% | find /i "%~nx0" >nul && pause
exit /b %code%
