"""Pulse trains that the bank makes for outputs that can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Pulse, Set, Train, off, on
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import catch_up
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LASER, Watcher

MS = 1_000_000


class Plain(SimulatedOutput):
    """An output like most: its edges come when the bank's thread gets round to them."""

    exact = False


def course(heard: Watcher) -> list[tuple[float, float, str]]:
    """Return when, in ms, the laser was put to which level, and why."""
    edges = [entry for entry in heard if isinstance(entry, Edge)]
    return [(edge.written_ns / MS, edge.level, edge.cause) for edge in edges[1:]]


def test_a_train_has_its_pulses_where_they_belong() -> None:
    clock, heard = ManualClock(), Watcher()
    train = Train(LASER, frequency=40, width_s=0.005, count=3, level=0.5)
    assert train.seconds == pytest.approx(0.055)
    with opened({"laser": SimulatedOutput()}, clock, heard.append) as bank:
        bank.apply([train], 0)
        catch_up(bank, clock, 100 * MS)
    assert course(heard)[:-1] == [
        (0, 0.5, "plan"),
        (5, 0, "train"),
        (25, 0.5, "train"),
        (30, 0, "train"),
        (50, 0.5, "train"),
        (55, 0, "pulse end"),
    ]


@pytest.mark.parametrize("command", [off(LASER), on(LASER), Pulse(LASER, 0.001)])
def test_any_command_ends_a_train(command: Set | Pulse) -> None:
    clock, heard = ManualClock(), Watcher()
    with opened({"laser": SimulatedOutput()}, clock, heard.append) as bank:
        bank.apply([Train(LASER, 40, 0.005, 100)], 0)
        catch_up(bank, clock, 26 * MS)
        bank.apply([command], 26 * MS)
        catch_up(bank, clock, 200 * MS)
        assert bank.levels["laser"] == (command == on(LASER))
    causes = [cause for at, _, cause in course(heard) if at > 26]
    assert "train" not in causes


def test_all_off_ends_a_train_between_two_pulses() -> None:
    clock, heard = ManualClock(), Watcher()
    with opened({"laser": SimulatedOutput()}, clock, heard.append) as bank:
        bank.apply([Train(LASER, 40, 0.005, 100)], 0)
        catch_up(bank, clock, 10 * MS)
        bank.all_off(10 * MS, "lost")
        assert bank.tick(10 * MS) is None
        catch_up(bank, clock, 200 * MS)
    assert [level for at, level, _ in course(heard) if at >= 10] == [0, 0]


def test_the_longest_time_on_counts_for_the_whole_train() -> None:
    clock, heard = ManualClock(), Watcher()
    laser = SimulatedOutput(max_on_s=0.06)
    with opened({"laser": laser}, clock, heard.append) as bank:
        bank.apply([Train(LASER, 40, 0.005, 100)], 0)
        catch_up(bank, clock, 500 * MS)
        assert bank.levels == {"laser": 0}
    assert course(heard)[-2] == (60, 0, "limit")
    assert not any(level for at, level, _ in course(heard) if at > 60)


def test_a_broken_bank_begins_no_pulse_more() -> None:
    clock, heard = ManualClock(), Watcher()
    with opened({"laser": SimulatedOutput()}, clock, heard.append) as bank:
        bank.apply([Train(LASER, 40, 0.005, 100)], 0)
        catch_up(bank, clock, 10 * MS)
        bank.fail("something else went wrong", 10 * MS)
        catch_up(bank, clock, 100 * MS)
    assert not any(level for at, level, _ in course(heard) if at > 10)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (Train(LASER, 40, 0.025, 2), "must end before the next begins"),
        (Train(LASER, 40, 0, 2), "must end before the next begins"),
        (
            Train(LASER, 0, 0.1, 2),
            "a train needs at least one pulse and a frequency above 0",
        ),
        (Train(LASER, 40, 0.005, 0), "at least one pulse"),
        (Train(LASER, 40, 0.005, 2, 1.5), "the level must be from 0 to 1"),
    ],
)
def test_what_is_no_train_is_a_sentence(train: Train, said: str) -> None:
    with opened({"laser": SimulatedOutput()}, ManualClock(), Watcher().append) as bank:
        with pytest.raises(ExperimentError, match=said):
            bank.apply([train], 0)
        assert bank.levels == {"laser": 0}


def test_what_only_a_board_can_do_is_refused_elsewhere() -> None:
    short = Train(LASER, 100, 0.001, 5)
    with (
        pytest.raises(ExperimentError, match="KIND = BoardPin"),
        opened({"laser": Plain()}, ManualClock(), Watcher().append) as bank,
    ):
        bank.apply([short], 0)
    with opened({"laser": SimulatedOutput()}, ManualClock(), Watcher().append) as bank:
        bank.apply([short], 0)  # a replay of a run with a board


@given(
    frequency=st.floats(1, 200),
    share=st.floats(0.05, 0.95),
    count=st.integers(1, 20),
    ticks=st.lists(st.floats(0.1, 40), max_size=30),
)
def test_however_late_the_ticks_a_train_has_its_pulses_and_ends(
    frequency: float, share: float, count: int, ticks: list[float]
) -> None:
    clock, heard = ManualClock(), Watcher()
    with opened({"laser": SimulatedOutput()}, clock, heard.append) as bank:
        train = Train(LASER, frequency, share / frequency, count)
        bank.apply([train], 0)
        for ms in ticks:
            clock.set(clock.now_ns() + round(ms * MS))
            bank.tick(clock.now_ns())
        catch_up(bank, clock, clock.now_ns() + round(train.seconds * 1e9) + MS)
        assert bank.levels == {"laser": 0}
        levels = [level for _, level, _ in course(heard)]
    assert levels == [1, 0] * count
