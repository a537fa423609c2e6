"""Rack program: runs the boxes of a rack in a window, or headless."""

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.plugin_trust import TRUST
from deeplabstream.programs import run_rack
from deeplabstream.programs.program import Program
from deeplabstream.programs.run_rack import RackOptions, run_headless_rack
from deeplabstream.rack.rack_run import chosen_boxes
from deeplabstream.settings.rack_file import load_rack
from deeplabstream.startup.qt_environment import why_no_window


def run(options: RackOptions) -> int:
    """Run the rack, or one of its boxes; return the exit code."""
    if options.headless or options.box or options.capacity:
        return run_headless_rack(options)
    if reason := why_no_window():
        print(f"{reason} Run the rack without a window: add --headless")
        return 1
    return _show_window(options)


def _show_window(options: RackOptions) -> int:
    """Show the window until it is closed; return the exit code."""
    from PyQt5.QtCore import QSettings

    from deeplabstream.gui.application import (
        application,
        run_until_closed,
        show_problems,
    )
    from deeplabstream.gui.dialogs.questions import confirm_plugins
    from deeplabstream.gui.rack_window import RackWindow
    from deeplabstream.rack.rack_check import checked_rigs

    application()
    TRUST.show = confirm_plugins
    try:
        rack = load_rack(options.file)
        checked_rigs(rack)
    except SettingsError as error:
        title = f"{options.file.name} can't be used:"
        print(title, *error.problems, sep="\n")
        show_problems(title, error.problems)
        return 1
    window = RackWindow(
        rack,
        chosen_boxes(rack, options.only),
        run_rack.window_command(options, rack),
        QSettings("DeepLabStream", "DeepLabStream"),
    )
    return run_until_closed(window, window.log.complain, window.end)


PROGRAM = Program(RackOptions, run, run_rack.__doc__, "RunRack", uses_rig=False)
