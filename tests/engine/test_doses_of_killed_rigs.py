"""A rig of real processes with an emulated board: its engine is killed, and starts again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session.session_state import Action, Phase
from tests.engine.test_board_rig import engine_of, rises_of
from tests.engine.test_session import Watched, rig
from tests.firmware.emulation import needs_simavr
from tests.firmware.powered import Powered, powered

pytestmark = [needs_simavr, pytest.mark.usefixtures("fork_server")]

MOST = 4
OUTPUT = f"""
[Output light]
KIND = BoardPin
PORT = {{port}}
PIN = 9
WATCHDOG_MS = 1000
PROOF_PIN = 0
MAX_PULSES_PER_DAY = {MOST}
"""


@pytest.fixture
def board() -> Iterator[Powered]:
    with powered() as board:
        yield board


def refusals(it: Watched) -> list[str]:
    notes = [news.text for news in it.told if isinstance(news, Note)]
    return [
        text for text in notes if "MAX_PULSES_PER_DAY" in text and "was not" in text
    ]


def test_an_engine_that_is_killed_again_and_again_gives_no_more_than_a_day_permits(
    tmp_path: Path, board: Powered
) -> None:
    for _ in range(2 * MOST):
        with rig(tmp_path, OUTPUT.format(port=board.port)) as it:
            it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
            before = rises_of(board)
            it.until(lambda it: rises_of(board) > before or bool(refusals(it)))  # noqa: B023
            if refusals(it):
                break
            os.kill(engine_of(it), signal.SIGKILL)
            it.until(lambda it: it.session.state.phase is Phase.IDLE)
        board.until_level("B1", 0)
    else:
        raise AssertionError("no refusal")
    # a kill may cost doses that were not given: never one too many
    assert 1 < rises_of(board) <= MOST
