"""Outputs that name another one in THEN: a reward that is taken away if it is not eaten."""

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Pulse, off, on
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.output import Output
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LAMP, LASER, SECOND, Watcher


def reward() -> dict[str, Output]:
    """A pump, and what takes away 5 s later what was not eaten."""
    pump = SimulatedOutput(then=LAMP, then_after_s=5, then_s=2)
    return {"laser": pump, "lamp": SimulatedOutput()}


def test_what_was_not_eaten_is_taken_away() -> None:
    clock, heard = ManualClock(), Watcher()
    with opened(reward(), clock, heard.append) as bank:
        bank.apply([Pulse(LASER, 1.0)], 0)
        catch_up(bank, clock, 20 * SECOND)
    told = [
        e for e in heard if isinstance(e, Edge) and e.cause not in ("open", "close")
    ]
    assert [(e.output, e.level, e.cause, e.written_ns // SECOND) for e in told] == [
        ("laser", 1, "plan", 0),
        ("laser", 0, "pulse end", 1),
        ("lamp", 1, "then", 6),
        ("lamp", 0, "pulse end", 8),
    ]


def test_a_new_reward_is_not_taken_away_with_the_old_one() -> None:
    clock, heard = ManualClock(), Watcher()
    with opened(reward(), clock, heard.append) as bank:
        for second in (0, 3):
            catch_up(bank, clock, second * SECOND)
            bank.apply([on(LASER)], clock.now_ns())
            catch_up(bank, clock, (second + 1) * SECOND)
            bank.apply([off(LASER)], clock.now_ns())
        catch_up(bank, clock, 8 * SECOND)
        assert bank.levels["lamp"] == 0
        catch_up(bank, clock, 9 * SECOND)
        assert bank.levels["lamp"] == 1


@pytest.mark.parametrize("cause", ["lost", "silence", "stop"])
def test_nothing_follows_what_was_switched_off_for_safety(cause: str) -> None:
    clock, heard = ManualClock(), Watcher()
    with opened(reward(), clock, heard.append) as bank:
        bank.apply([Pulse(LASER, 1.0)], 0)
        catch_up(bank, clock, 3 * SECOND)
        bank.all_off(clock.now_ns(), cause)
        assert bank.tick(clock.now_ns()) is None
        bank.apply([on(LASER)], clock.now_ns())
        bank.all_off(clock.now_ns(), cause)
        assert bank.tick(clock.now_ns()) is None
