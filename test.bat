@echo off
rem test.bat runs all checks and tests; test.bat check, format, unit, fast, long or gpu a part.
setlocal
set python=py -3
where py >nul 2>nul || set python=python
set task=test
for %%t in (check format) do if /i "%~1"=="%%t" set task=%%t
for %%t in (unit fast long gpu) do if /i "%~1"=="%%t" set task=test-%%t
if "%task%"=="test" goto all
%python% "%~dp0utils\Launch.py" %task% %2 %3 %4 %5 %6 %7 %8 %9
exit /b %errorlevel%

:all
%python% "%~dp0utils\Launch.py" test %*
