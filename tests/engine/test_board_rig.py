"""A whole rig with an emulated board: the loop feeds it, and its death starves it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Acknowledged, Sensed
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.recording.alignment.aligned_run import run_signal
from deeplabstream.recording.alignment.sync_signals import Edges, read_codes
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import parse
from tests.engine.patient_guards import use_real_guards
from tests.engine.test_session import (
    SETTINGS,
    SIMULATED,
    Watched,
    begin_experiment,
    rig,
)
from tests.firmware.emulation import MS, needs_simavr
from tests.firmware.powered import Powered, powered

pytestmark = [needs_simavr, pytest.mark.usefixtures("fork_server")]

PIN = "B1"
BOARD = """
[Output light]
KIND = BoardPin
PORT = {port}
PIN = 9
WATCHDOG_MS = 100
PROOF_PIN = 0
[Input lick]
KIND = BoardInput
PORT = {port}
PIN = 2
DEBOUNCE_MS = 1
"""
PATIENT = BOARD.replace("= 100", "= 1000")
"""For tests of other things than the watchdog, on a computer that is busy elsewhere."""
LICKS = """
[Trigger licked]
KIND = InputIs
INPUT = lick
"""


@pytest.fixture
def board() -> Iterator[Powered]:
    with powered() as board:
        board.pin("D2", 0)
        yield board


def engine_of(it: Watched) -> int:
    (engine,) = (p for p in it.session.processes() if p.name == "engine")
    assert engine.pid is not None
    return engine.pid


def lit(it: Watched, board: Powered) -> None:
    """Start everything until the pin is high; after a trip, on a busy computer, again."""
    it.do(Action.START_STREAM, Action.START_ANALYSIS)
    while not board.level(PIN):
        rises = rises_of(board)
        begin_experiment(it)
        board.until(lambda: rises_of(board) > rises)  # noqa: B023


def rises_of(board: Powered) -> int:
    return sum(edge.level for edge in board.edges_of(PIN))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_the_pin_is_low_within_150_ms_of_the_engines_end(
    tmp_path: Path, board: Powered, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in the board's cycles, from the last byte that the engine sent."""
    use_real_guards(monkeypatch)
    with rig(tmp_path, BOARD.format(port=board.port)) as it:
        lit(it, board)
        os.kill(engine_of(it), getattr(signal, name))
        went_off = board.until_level(PIN, 0)
        last = [cycle for cycle in board.took if cycle < went_off.cycle][-1]
        assert 0 < went_off.cycle - last <= 150 * MS
        if name == "SIGSTOP":
            it.until(lambda it: bool(it.of(Failed)))  # the guard has noticed it too


def test_the_watchdog_is_proved_before_the_outputs_are_opened_and_that_is_recorded(
    tmp_path: Path, board: Powered
) -> None:
    words = BOARD.replace("PROOF_PIN = 0", "").format(port=board.port)
    with rig(tmp_path, words) as it:
        lit(it, board)
        (proof,) = it.session.state.self_tests
        assert proof.passed, proof.text
        it.until(lambda it: "light" in it.session.state.acknowledged)
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    notes = [r["text"] for r in RunFolder(folder).events() if r["name"] == "preflight"]
    works = f"the watchdog of the board at {board.port} works: "
    told = [note for note in notes if note.startswith(works)]
    assert told
    assert all("pin 13 went off after 100" in note for note in told)
    # On a busy computer the board trips, and `lit` starts the experiment once more.
    answers = [note for note in notes if note.startswith("[Output light]")]
    assert len(answers) == len(told)
    assert any("acknowledges" in answer for answer in answers)


def test_a_board_that_vanishes_ends_the_experiment(
    tmp_path: Path, board: Powered
) -> None:
    board.slow_down(10)
    lamp = SIMULATED.replace("light", "lamp")
    with rig(tmp_path, PATIENT.format(port=board.port) + lamp) as it:
        lit(it, board)
        board.unplug()
        it.until(lambda it: not it.session.state.experimenting)
        gone = f"[Output light] {board.port} is gone"
        it.until(lambda it: any(gone in text for text in it.failures))
        it.until(lambda it: it.session.state.levels["lamp"] == 0)
        it.stop()


def test_licks_reach_triggers_and_the_record_and_are_decided_again(
    tmp_path: Path, board: Powered
) -> None:
    """A lick switches the light on; without any board the same is decided again."""
    board.slow_down(10)
    words = SETTINGS.replace("TRIGGER = anywhere", "TRIGGER = licked")
    settings = parse(words + LICKS + PATIENT.format(port=board.port), tmp_path)
    with rig(tmp_path, SIMULATED) as it:
        it.session.settings = settings
        it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
        it.until(lambda it: it.session.state.experimenting)
        for count in (1, 2):
            board.pin("D2", 1)
            board.until_level(PIN, 1)
            board.pin("D2", 0)
            board.until_level(PIN, 0)
            it.until(lambda it, count=count: sensed(it)[-1].count == count)  # type: ignore[misc]
        it.until(lambda it: len(it.of(Acknowledged)) >= 5)
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    run = RunFolder(folder)
    rows = run.events()
    assert [row["text"] for row in rows if row["kind"] == "input"][-1] == "count 2"
    answers = [row for row in rows if row["kind"] == "ack" and row["frame"]]
    assert [float(row["level"]) for row in answers[:4]] == [1, 0, 1, 0]
    chain = ("exposed", "arrived", "posed", "decided", "written")
    for row in answers:
        times = [int(row[f"{name}_ns"]) for name in chain]
        assert times == sorted(times) and row["cause"] == "plan"
        assert int(row["exposed_ns"]) < int(row["acted_ns"]) <= int(row["acked_ns"])
    pairs = list(rerun_decisions(parse(run.settings_text, folder), run))
    assert [then.commands for then, _ in pairs] == [now.commands for _, now in pairs]
    assert sum(len(then.commands) for then, _ in pairs) >= 4
    counts = {then.inputs["lick.count"] for then, _ in pairs}
    assert {1, 2} <= counts <= {0, 1, 2}, (
        "the first lick may be as early as the analysis"
    )


def test_the_edges_of_a_sync_signal_are_in_the_run_by_both_clocks(
    tmp_path: Path, board: Powered
) -> None:
    """By the board's clock the codes are exact, however busy the computer is."""
    sync = f"\n[Input sync]\nKIND = BoardSync\nPORT = {board.port}\nPIN = 8\nEVERY_S = 2.1\n"
    with rig(tmp_path, SIMULATED + sync) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: it.session.state.analysing)
        begun = len(board.edges_of("B0"))
        for more in range(1, 91):
            board.until(lambda more=more: len(board.edges_of("B0")) > begun + more)  # type: ignore[misc]
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    run = RunFolder(folder)
    rows = [row for row in run.events() if row["name"] == "sync" and row["device_us"]]
    assert all(int(row["acted_ns"]) <= int(row["acked_ns"]) for row in rows)
    by_board = Edges(
        np.array([int(row["device_us"]) / 1e6 for row in rows]),
        np.array([float(row["level"]) > 0 for row in rows]),
    )
    values = read_codes(by_board).values
    assert len(values) >= 2 and set(np.diff(values)) == {1}
    signal = run_signal(run)
    assert (signal.name, signal.kind) == ("sync", "input")
    assert len(signal.edges) >= len(rows) - 1


def sensed(it: Watched) -> list[Sensed]:
    return [news for news in it.told if isinstance(news, Sensed)] or [
        Sensed("lick", False, 0, 0, 0)
    ]
