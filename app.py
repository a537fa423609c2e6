"""The desktop application: a rig in a window, or headless where there is no screen."""

from deeplabstream.startup.program import prepare

prepare()

# Every process of a rig imports this file anew, because it is started by `spawn`. What
# only the main process needs is therefore imported in its functions.
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
"""Time after which the window is painted."""
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
        return _tell_problems(options.settings, error, headless=options.headless)
    except DeepLabStreamError as error:
        print(error)
        return FAILED
    except KeyboardInterrupt:
        return STOPPED


def _window(path: Path, experiment: str | None, actions: "Sequence[Action]") -> int:
    from PyQt5.QtCore import QSettings, QTimer

    from deeplabstream.engine.processes.termination import termination
    from deeplabstream.engine.session.request_queue import RequestQueue, armed_instead
    from deeplabstream.engine.session.session import Session
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
    with termination(), Session(settings) as session:
        bridge = Bridge(session, RequestQueue(armed_instead(actions, settings)))
        memory = QSettings("DeepLabStream", "DeepLabStream")
        window = MainWindow(bridge, document, memory)
        window.show()
        QTimer.singleShot(0, window.offer_draft)  # while signals are looked for
        QTimer.singleShot(_SHOWN_MS, window.make_following_pages)
        window.tour.offer()
        bridge.start()
        return run_until_closed(
            window, window.log.complain, window.end, window.outputs_off
        )


def _headless(settings: "Settings", agenda: "RequestQueue", seconds: float) -> int:
    from deeplabstream.engine.processes.termination import termination
    from deeplabstream.engine.session.headless import run_headless
    from deeplabstream.engine.session.session import Session

    with termination() as asked, Session(settings) as session:
        summary = run_headless(session, agenda, seconds, _say, asked=asked)
    print("\n".join(summary.lines()))
    return asked.exit_code(FAILED if summary.failures else OK, ctrl_c=OK)


def _say(text: str) -> None:
    print(text, flush=True)


def _tell_problems(path: Path, error: "SettingsError", *, headless: bool) -> int:
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
        help="start this by itself, as soon as it can be",
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
