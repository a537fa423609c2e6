@echo off
py -3 "%~dp0utils\Launch.py" test %*
