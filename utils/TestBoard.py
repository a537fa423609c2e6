"""Test the watchdog of a board: python utils/TestBoard.py, for all boards of settings.ini.

A pin (13, the LED on most boards) goes on. Then the connection goes silent, and the board must
switch the pin off by itself. The program reports the board's time and reads the pin back. The
rig must not be running.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.settings.loading import Settings, load
from deeplabstream.engine.processes.termination import termination
from outputs.board.output import boards_of
from outputs.board.watchdog_check import LED, run_watchdog_test


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when every board switched off in time."""
    parser = ProgramParser(prog="TestBoard.py", description=__doc__)
    parser.add_settings()
    parser.add_argument("--port", help="test only this board, without the settings")
    parser.add_argument(
        "--pin", type=int, default=LED, help="pin that goes high for a moment"
    )
    chosen = parser.parse_args(argv)
    if not 2 <= chosen.pin <= 127:
        parser.error("a pin is from 2 to 127")
    watchdogs = _boards(load(chosen.settings), chosen.pin)
    if chosen.port:
        watchdogs = {chosen.port: watchdogs.get(chosen.port, 100)}
    if not watchdogs:
        raise DeepLabStreamError("the settings contain no KIND = BoardPin. Use --port")
    proofs = []
    with termination() as asked:
        for port, watchdog_ms in watchdogs.items():
            try:
                proof = run_watchdog_test(
                    port, chosen.pin, watchdog_ms, lambda: asked.requested
                )
            except DeviceError as error:
                if not asked.requested:
                    raise
                print(f"{error}: {asked.reason}", flush=True)
                break
            print(f"{proof}: {'right' if proof.holds else 'WRONG'}", flush=True)
            proofs.append(proof)
    return asked.exit_code(0 if all(proof.holds for proof in proofs) else 1)


def _boards(settings: Settings, pin: int) -> dict[str, int]:
    """Return the ports, and the shortest watchdog of each in ms."""
    boards = boards_of(settings.outputs, settings.inputs, pin)
    for board in boards:
        if board.pin_user:
            raise DeepLabStreamError(
                f"pin {pin} is {board.pin_user}: choose a --pin that may be high "
                "for a moment"
            )
    return {board.port: board.watchdog_ms for board in boards}


if __name__ == "__main__":
    sys.exit(main())
