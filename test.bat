@echo off
setlocal
set python=py -3
where py >nul 2>nul || set python=python
%python% "%~dp0utils\Launch.py" test %*
