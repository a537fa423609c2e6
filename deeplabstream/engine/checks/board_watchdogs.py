"""Board watchdog check: runs the watchdog test on every board in the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.messages import WatchdogChecked
from deeplabstream.settings.sections import Settings
from outputs.board.output import BoardInput, BoardPin, BoardSync
from outputs.board.pulses import BoardPulses, BoardTrigger
from outputs.board.watchdog_check import WatchdogError, run_watchdog_test

BoardLine: TypeAlias = BoardPin | BoardInput | BoardSync | BoardPulses | BoardTrigger
"""Each section that uses a pin of a board."""


@dataclass(frozen=True)
class Board:
    """A board that switches something."""

    port: str
    pin: int
    """It goes high for a moment; 0: none shall."""
    watchdog_ms: int
    """The shortest that its outputs ask for."""
    taken: str = ""
    """The section that uses the pin for something else."""


def boards_of(settings: Settings, pin: int | None = None) -> list[Board]:
    """Return the boards with outputs; `pin` instead of their PROOF_PIN."""
    pins = [each for each in settings.outputs.values() if isinstance(each, BoardPin)]
    found = []
    for port in dict.fromkeys(output.port for output in pins):
        here = [output for output in pins if output.port == port]
        asked = {output.proof_pin for output in here} if pin is None else {pin}
        chosen = 0 if 0 in asked else min(asked)
        shortest = min(output.watchdog_ms for output in here)
        found.append(Board(port, chosen, shortest, user_of(settings, port, chosen)))
    return found


def proofs(settings: Settings) -> Iterator[WatchdogChecked]:
    """Prove the watchdog of each board; nothing else may use the boards meanwhile."""
    for board in boards_of(settings):
        where = f"the watchdog of the board at {board.port}"
        if not board.pin:
            yield WatchdogChecked(f"{where} is not tested: PROOF_PIN = 0", None)
        elif board.taken:
            text = f"pin {board.pin} is that of {board.taken}; give another PROOF_PIN"
            yield WatchdogChecked(f"{where} is not tested: {text}", None)
        else:
            yield _proof(board, where)


def _proof(board: Board, where: str) -> WatchdogChecked:
    try:
        proof = run_watchdog_test(board.port, board.pin, board.watchdog_ms)
    except WatchdogError as error:
        return WatchdogChecked(f"{where} DOES NOT WORK: {error}", False)
    except DeviceError as error:
        return WatchdogChecked(f"{where} is not tested: {error}", None)
    word = "works" if proof.holds else "DOES NOT WORK AS IT SHOULD"
    return WatchdogChecked(f"{where} {word}: {proof}", proof.holds)


def user_of(settings: Settings, port: str, pin: int) -> str:
    """Return the section that uses a pin; empty: none does."""
    lines = {
        **{f"[Output {name}]": output for name, output in settings.outputs.items()},
        **{f"[Input {name}]": each for name, each in settings.inputs.items()},
    }
    for section, line in lines.items():
        if isinstance(line, BoardLine) and (line.port, line.pin) == (port, pin):
            return section
    return ""
