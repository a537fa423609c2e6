"""Test the watchdog of a board: python utils/TestBoard.py, for all boards of settings.ini.

A pin (13, the LED on most boards) goes on. Then the connection goes silent, and the board must
switch the pin off by itself. The program reports the board's time and reads the pin back. The
rig must not be running.
"""

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.processes.termination import termination
from deeplabstream.plugins.discovery import plugin_package
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.sections import Settings

LED = 13
"""The pin of the LED on most boards."""
WATCHDOG_MS = 100
"""Watchdog of a board that is not in the settings."""


@program_options
class CheckBoard:
    """Boards, and the pin that is switched on."""

    settings: SettingsFile = settings_file()
    port: str = option(default="", metavar="PORT")
    """Test only this board, without the settings."""
    pin: int = option(default=LED, ge=2, le=127)
    """Pin that goes high for a moment."""


def check_board(options: CheckBoard) -> int:
    """Return 0 when every board switched off in time."""
    watchdogs = _watchdogs(load(options.settings), options.pin)
    if options.port:
        watchdogs = {options.port: watchdogs.get(options.port, WATCHDOG_MS)}
    if not watchdogs:
        raise DeepLabStreamError("the settings contain no KIND = BoardPin. Use --port")

    run_watchdog_test = plugin_package("outputs.board.watchdog_check").run_watchdog_test
    passed = True
    with termination() as request:
        for port, watchdog_ms in watchdogs.items():
            try:
                result = run_watchdog_test(
                    port, options.pin, watchdog_ms, lambda: request.requested
                )
            except DeviceError as error:
                if not request.requested:
                    raise
                print(f"{error}: {request.reason}", flush=True)
                break
            print(f"{result}: {'right' if result.holds else 'WRONG'}", flush=True)
            passed = passed and result.holds
    return request.exit_code(0 if passed else 1)


def _watchdogs(settings: Settings, pin: int) -> dict[str, int]:
    """Return the shortest watchdog of each board in ms, by its port."""
    boards_of = plugin_package("outputs.board.output").boards_of
    watchdogs = {}
    for board in boards_of(settings.outputs, settings.inputs, pin):
        if board.pin_user:
            raise DeepLabStreamError(
                f"pin {pin} is {board.pin_user}: choose a --pin that may be high for a "
                "moment"
            )
        watchdogs[board.port] = board.watchdog_ms
    return watchdogs


PROGRAM = Program(CheckBoard, check_board, __doc__, "TestBoard")
