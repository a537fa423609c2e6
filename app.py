"""Desktop application: runs a rig in a window, or headless where there is no screen."""

from deeplabstream.startup.program import prepare

prepare()

# Each process of a rig imports this file again, because it is started by `spawn`. Imports
# that only the main process needs are therefore in the functions.
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplabstream.core.errors import SettingsError
    from deeplabstream.engine.session.request_queue import RequestQueue
    from deeplabstream.engine.session.session_state import Action
    from deeplabstream.settings.sections import Settings
    from deeplabstream.startup.arguments import ProgramParser

_SHOWN_MS = 400
"""Delay after which the window has been painted."""
OK, FAILED, BAD_SETTINGS, STOPPED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the application; return the exit code."""
    from deeplabstream.core.errors import DeepLabStreamError, SettingsError
    from deeplabstream.engine.session.request_queue import (
        AGENDAS,
        RequestQueue,
        armed_instead,
    )
    from deeplabstream.gui.qt_environment import has_screen, why_no_window
    from deeplabstream.settings.ready_made import load_with

    options = _parser().parse_args(argv)
    if not options.headless and (reason := why_no_window()):
        print(reason)
        if has_screen():
            print("Or run it without a window: app.py --headless")
            return FAILED
        print(f"The same rig runs headless for {options.seconds:g} s.")
        options.headless = True
    try:
        if options.headless:
            settings = load_with(options.settings, options.experiment)
            actions = AGENDAS[options.start or "experiment"]
            agenda = RequestQueue(armed_instead(actions, settings))
            return _headless(settings, agenda, options.seconds)
        actions = AGENDAS[options.start] if options.start else ()
        return _window(options.settings, options.experiment, actions)
    except SettingsError as error:
        return _report_problems(options.settings, error, headless=options.headless)
    except DeepLabStreamError as error:
        print(error)
        return FAILED
    except KeyboardInterrupt:
        return STOPPED


def _window(path: Path, experiment: str | None, actions: "Sequence[Action]") -> int:
    from PyQt5.QtCore import QSettings, QTimer

    from deeplabstream.engine.processes.termination import termination
    from deeplabstream.engine.session.request_queue import RequestQueue, armed_instead
    from deeplabstream.engine.session.session import RigSession
    from deeplabstream.gui.application import application, run_until_closed
    from deeplabstream.gui.bridge import Bridge
    from deeplabstream.gui.dialogs.settings_repair import repair_settings
    from deeplabstream.gui.main_window import MainWindow
    from deeplabstream.gui.settings_document import Document
    from deeplabstream.settings.ready_made import with_experiment

    application()
    document = Document(path)
    if experiment:
        document.edit(with_experiment(document.text, experiment, document.path.parent))
    settings = repair_settings(document)
    if settings is None:
        print(*document.problems, sep="\n")
        return BAD_SETTINGS
    with termination(), RigSession(settings) as session:
        bridge = Bridge(session, RequestQueue(armed_instead(actions, settings)))
        memory = QSettings("DeepLabStream", "DeepLabStream")
        window = MainWindow(bridge, document, memory)
        window.show()
        QTimer.singleShot(0, window.offer_draft)  # after the window is shown
        QTimer.singleShot(_SHOWN_MS, window.make_following_pages)
        window.tour.offer()
        bridge.start()
        return run_until_closed(
            window, window.log.complain, window.end, window.outputs_off
        )


def _headless(settings: "Settings", agenda: "RequestQueue", seconds: float) -> int:
    from deeplabstream.engine.processes.termination import termination
    from deeplabstream.engine.session.headless import run_headless
    from deeplabstream.engine.session.session import RigSession

    with termination() as requests, RigSession(settings) as session:
        summary = run_headless(session, agenda, seconds, _print, termination=requests)
    print("\n".join(summary.lines()))
    return requests.exit_code(FAILED if summary.failures else OK, ctrl_c=OK)


def _print(text: str) -> None:
    print(text, flush=True)


def _report_problems(path: Path, error: "SettingsError", *, headless: bool) -> int:
    from deeplabstream.gui.qt_environment import why_no_window

    count = len(error.problems)
    title = f"{path.name} has {count} problem{'s' if count > 1 else ''}:"
    print(title, *error.problems, sep="\n")
    if not headless and not why_no_window():
        from deeplabstream.gui.application import show_problems

        show_problems(title, error.problems)
    return BAD_SETTINGS


def _parser() -> "ProgramParser":
    from deeplabstream.engine.session.request_queue import AGENDAS
    from deeplabstream.startup.arguments import ProgramParser

    parser = ProgramParser(prog="app.py", description=__doc__)
    parser.add_settings()
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        help="the experiment of this file, or of that name in experiments/configs, on "
        "the rig of the settings",
    )
    parser.add_argument(
        "--start",
        choices=list(AGENDAS),
        help="start this automatically, as soon as possible",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="no window: run for --seconds or until the experiment ends, then print a "
        "summary",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="the longest time to run where there is no window (default: 20); for whole "
        "experiments use DeepLabStream.py --experiment --headless",
    )
    return parser


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
