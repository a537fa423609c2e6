"""Program start and end: environment checks, error messages and exit codes.

Any Python version that a user starts reads this file. It must be valid in old ones and
import only the standard library.
"""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from deeplabstream.files.paths import INSTALLED, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CANT, STOPPED = 2, 130
"""Exit codes: error with a message, as for wrong options; Ctrl-C."""
OLDEST = (3, 11)
PARTS = "gui,cameras,outputs,fast,train,results"
"""Extras of the package for all features; README.md installs them."""
Main = TypeVar("Main", bound="Callable[..., int]")


def prepare() -> None:
    """Prepare the process; called before other imports of a program.

    Afterwards a missing package is reported in a sentence, telemetry of libraries is off,
    and neither a character that the console can't show nor a closed console is an error.
    With a Python that is too old the program ends here.
    """
    if sys.version_info < OLDEST:
        needed, present = (
            ".".join(map(str, v[:2])) for v in (OLDEST, sys.version_info)
        )
        raise SystemExit(
            f"DeepLabStream needs Python {needed} or newer, not {present}{_where_it_is()}"
        )
    from deeplabstream.startup.telemetry import turn_off_telemetry

    turn_off_telemetry()
    sys.excepthook = _report_exception
    from deeplabstream.startup.standard_streams import outlive_readers

    outlive_readers()


def ending(stopped: str = "stopped") -> Callable[[Main], Main]:
    """Return a decorator for `main` of a program: errors become messages and exit codes.

    An error that the user can correct is written to the error stream, with exit code 2.
    After Ctrl-C the message is `stopped` and the code 130. Other exceptions are errors of
    the program, and stay tracebacks.
    """

    def around(main: Main) -> Main:
        from deeplabstream.core.errors import DeepLabStreamError

        @wraps(main)
        def wrapped(*given: Any, **named: Any) -> int:
            try:
                return main(*given, **named)
            except DeepLabStreamError as error:
                _print_error(str(error))
            except OSError as error:
                of = f"{error.filename} can't be used: " if error.filename else ""
                _print_error(f"{of}{error.strerror or error}")
            except KeyboardInterrupt:
                _print_error(stopped)
                return STOPPED
            return CANT

        return cast("Main", wrapped)

    return around


def _print_error(text: str) -> None:
    from deeplabstream.core.visible_text import visible

    if sys.stderr is not None:  # pythonw has no stderr
        text = visible(text, keep="\n\t")
        sys.stderr.write(f"{text}\n")


def _report_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Report a missing package or system library in a sentence; other errors as Python does."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    library, lacking, _ = str(error).partition(": cannot open shared object file")
    if isinstance(error, ModuleNotFoundError) and name and not (ROOT / name).is_dir():
        from deeplabstream.core.errors import package_missing

        _print_error(
            f"{Path(sys.argv[0]).name} {package_missing(name)}{_where_it_is()}"
        )
    elif isinstance(error, ImportError) and lacking:
        _print_error(
            f"The system library {library} is missing; see README.md for what to install"
        )
    elif isinstance(error, KeyboardInterrupt):  # during the imports
        _print_error("stopped")
    else:
        sys.__excepthook__(kind, error, trace)


def _where_it_is() -> str:
    """Return a sentence on how to install all packages."""
    if INSTALLED:
        return f'\nAll parts are installed by: pip install "deeplabstream[{PARTS}]"'
    windows = sys.platform == "win32"
    folder = ROOT / ".venv"
    python = folder / ("Scripts/python.exe" if windows else "bin/python")
    if Path(sys.prefix).resolve() == folder:
        update = "py -3 utils\\Launch.py update" if windows else "make update"
        update_all = f"{update} --all" if windows else f"{update} ARGS=--all"
        return (
            f"\nAll of requirements.txt is installed by `{update}` in {ROOT}, the optional "
            f"packages of requirements-dev.txt too by `{update_all}`"
        )
    current = f"\nThis Python is {sys.executable}. "
    if python.exists():
        return f"{current}Use the program's own Python: {python} {' '.join(sys.argv)}"
    run = "run.bat" if windows else "make run"
    return f"{current}The program's own, {python}, is made by `{run}` in {ROOT}"
