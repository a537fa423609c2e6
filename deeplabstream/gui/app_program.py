"""Desktop application: runs a rig in a window, or headless where there is no screen."""

from collections.abc import Sequence
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    armed_instead,
)
from deeplabstream.engine.session.session_state import Action
from deeplabstream.files.plugin_trust import TRUST
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.ready_made import load_with, with_experiment
from deeplabstream.settings.sections import Settings
from deeplabstream.startup.qt_environment import has_screen, why_no_window

_SHOWN_MS = 400
"""Delay after which the window has been painted."""
OK, FAILED, BAD_SETTINGS, STOPPED = 0, 1, 2, 130


@program_options
class AppOptions:
    """Which rig runs, with which experiment, in a window or without one."""

    settings: SettingsFile = settings_file()
    experiment: str | None = option(default=None, metavar="FILE")
    """The experiment of this file, or of that name in experiments/configs, on the rig of
    the settings."""
    start: str | None = option(default=None, choices=list(AGENDAS))
    """Start this automatically, as soon as possible."""
    headless: bool = option(default=False)
    """No window: run for `seconds` or until the experiment ends, then print a summary."""
    seconds: float = option(default=20.0)
    """The longest time to run where there is no window; for whole experiments use
    DeepLabStream.py --experiment --headless."""


def run_app(options: AppOptions) -> int:
    """Run the application; return the exit code."""
    headless = options.headless
    if not headless and (reason := why_no_window()):
        print(reason)
        if has_screen():
            print("Or run it without a window: app.py --headless")
            return FAILED
        print(f"The same rig runs headless for {options.seconds:g} s.")
        headless = True

    try:
        if headless:
            settings = load_with(options.settings, options.experiment)
            actions = AGENDAS[options.start or "experiment"]
            agenda = RequestQueue(armed_instead(actions, settings))
            return _run_headless(settings, agenda, options.seconds)
        actions = AGENDAS[options.start] if options.start else ()
        return run_window(options.settings, options.experiment, actions)
    except SettingsError as error:
        return _report_problems(options.settings, error, headless=headless)
    except DeepLabStreamError as error:
        print(error)
        return FAILED
    except KeyboardInterrupt:
        return STOPPED


def run_window(path: Path, experiment: str | None, actions: Sequence[Action]) -> int:
    """Show the window on a rig until it is closed; return the exit code."""
    from PyQt5.QtCore import QSettings, QTimer

    from deeplabstream.gui.application import application, run_until_closed
    from deeplabstream.gui.widgets.busy_sign import starting

    application()
    with starting("DeepLabStream starts …"):
        from deeplabstream.engine.session.session import RigSession
        from deeplabstream.gui.bridge import Bridge
        from deeplabstream.gui.dialogs.questions import confirm_plugins
        from deeplabstream.gui.dialogs.settings_repair import repair_settings
        from deeplabstream.gui.main_window import MainWindow
        from deeplabstream.gui.settings_document import Document

    TRUST.show = confirm_plugins
    document = Document(path)
    TRUST.answered = False  # --trust applies to this rig only
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
        QTimer.singleShot(_SHOWN_MS, window.load_pages)
        window.tour.offer()
        bridge.start()
        return run_until_closed(
            window, window.log.complain, window.end, window.outputs_off
        )


def _run_headless(settings: Settings, agenda: RequestQueue, seconds: float) -> int:
    from deeplabstream.engine.session.headless import run_headless
    from deeplabstream.engine.session.session import RigSession

    with termination() as requests, RigSession(settings) as session:
        summary = run_headless(session, agenda, seconds, _print, termination=requests)
    print("\n".join(summary.lines()))
    return requests.exit_code(FAILED if summary.failures else OK, ctrl_c=OK)


def _print(text: str) -> None:
    print(text, flush=True)


def _report_problems(path: Path, error: SettingsError, *, headless: bool) -> int:
    count = len(error.problems)
    title = f"{path.name} has {count} problem{'s' if count > 1 else ''}:"
    print(title, *error.problems, sep="\n")
    if not headless and not why_no_window():
        from deeplabstream.gui.application import show_problems

        show_problems(title, error.problems)
    return BAD_SETTINGS


PROGRAM = Program(AppOptions, run_app, __doc__, "app")
