"""A test of an output: one pulse, by processes of its own; tests/engine/test_termination.py
starts them as users do.
"""

import os
import sys

import pytest

from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.checks import output_pulse
from deeplabstream.engine.checks.output_pulse import OutputTestEvent, OutputTestProcess
from deeplabstream.engine.session.messages import ProblemReport, ProcessFailed
from outputs.serial_line import SerialLine
from outputs.simulated_output import SimulatedOutput
from tests.engine.patient_guards import use_patient_guards_of_output_tests
from tests.outputs.patient_writers import patient_test
from tests.outputs.players import playing
from tests.outputs.stand_ins import STAND_INS

pytestmark = pytest.mark.usefixtures("fork_server")
posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


@pytest.fixture(autouse=True)
def patient_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    use_patient_guards_of_output_tests(monkeypatch)


def all_told(test: OutputTestProcess) -> list[OutputTestEvent]:
    told: list[OutputTestEvent] = []
    while not test.over:
        test.rest(20)
        told += test.poll()
    return told


def test_a_test_is_one_pulse() -> None:
    with OutputTestProcess("lamp", SimulatedOutput(), seconds=0.05, level=0.5) as test:
        told = all_told(test)
    edges = [(e.output, e.level, e.cause) for e in told if isinstance(e, Edge)]
    assert edges == [
        ("lamp", 0, "open"),
        ("lamp", 0.5, "test"),
        ("lamp", 0, "pulse end"),
        ("lamp", 0, "close"),
    ]
    assert not test.failed
    assert len(told) == 4


@posix
def test_leaving_early_switches_off() -> None:
    with playing("fake_terminal") as board:
        with OutputTestProcess("laser", SerialLine(port=board.address), seconds=5.0):
            assert board.heard_until("H") == ["L", "H"]
        assert board.heard() == "L"


@posix
def test_a_test_that_is_killed_is_ended_by_its_guard() -> None:
    with playing("fake_terminal") as board:
        with OutputTestProcess(
            "laser", SerialLine(port=board.address), seconds=5.0
        ) as test:
            assert board.heard_until("H")
            test._processes[0].kill()
            told = all_told(test)
        assert board.heard() == "L"
    assert test.failed
    assert [e.cause for e in told if isinstance(e, Edge)][-1] == "guard"


@posix
def test_what_can_not_be_switched_off_is_left_to_the_guard() -> None:
    """The port is plugged out while on; the guard tries again, and says what it can't."""
    import tty

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    with OutputTestProcess("laser", SerialLine(port=name), seconds=5.0) as test:
        assert os.read(ours, 1) == b"L"
        assert os.read(ours, 1) == b"H"
        os.close(ours)
        told = all_told(test)
    os.close(theirs)
    assert test.failed
    said = [t.text for t in told if isinstance(t, ProblemReport)]
    assert said[-1].startswith("[Output laser] ")
    assert said[-1].endswith("it may still be on")


def test_what_does_not_open_is_a_sentence() -> None:
    with OutputTestProcess("laser", SerialLine(port="COM99")) as test:
        told = all_told(test)
    assert [type(t) for t in told] == [ProcessFailed]
    assert "[Output laser] COM99 can't be opened" in str(told[0])
    assert test.failed


def test_a_test_is_never_longer_than_allowed() -> None:
    assert (
        OutputTestProcess("lamp", SimulatedOutput(max_on_s=0.1), seconds=3).seconds
        == 0.1
    )
    for seconds, level in ((0, 1), (6, 1), (1, 0), (1, 1.1)):
        with pytest.raises(ValueError, match=r"level|at most"):
            OutputTestProcess("lamp", SimulatedOutput(), seconds=seconds, level=level)


@pytest.mark.parametrize("kind", sorted({"RaspberryPin", "Firmata"} & set(STAND_INS)))
def test_kinds_in_the_network_and_on_a_board_can_be_tried(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serial line is tried above; tests/contracts/test_outputs.py opens all kinds."""
    monkeypatch.setattr(output_pulse, "_test", patient_test)
    with STAND_INS[kind]() as it:
        with OutputTestProcess("it", it.output, seconds=0.4) as test:
            all_told(test)
        assert not test.failed
        assert it.player.heard_until(it.on)
        assert it.player.heard_until(it.off)
