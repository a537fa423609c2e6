"""Whatever is asked of a bank: every output ends off, and in time."""

import math
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Command, Mark, Pulse, Set
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.output_bank import RETRY_NS, OutputBank, opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.output import Output
from tests.outputs.stubborn import LAMP, LASER, NOBODY, SECOND, Stubborn, Watcher

names = st.sampled_from([LASER, LAMP, NOBODY] + [LASER, LAMP] * 5)
levels = st.sampled_from([0.0, 0.25, 1.0, 1.0, 1.5, math.nan])
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Set, names, levels),
    st.builds(Pulse, names, st.floats(-0.1, 3.0), levels),
    st.builds(Mark, st.just("go")),
)
orders = st.one_of(
    st.lists(commands, max_size=4),
    st.sampled_from(["tick", "all off"]),
)
scripts = st.lists(st.tuples(st.integers(0, 3 * SECOND), orders), max_size=20)
outputs = st.builds(
    Stubborn,
    fails_at=st.integers(-1, 8),
    then=st.sampled_from([None, LAMP]),
    then_after_s=st.just(1.0),
    max_on_s=st.sampled_from([0.5, 1.0, 2.0]),
)


def play(
    bank: OutputBank, clock: ManualClock, script: list[tuple[int, object]]
) -> None:
    """Carry a script out, doing what is due exactly when it is due."""
    for pause_ns, order in script:
        now_ns = clock.now_ns() + pause_ns
        catch_up(bank, clock, now_ns)
        with suppress(DeepLabStreamError):
            match order:
                case "tick":
                    bank.tick(now_ns)
                case "all off":
                    bank.all_off(now_ns, "lost")
                case list(orders):
                    bank.apply(orders, now_ns)


@given(laser=outputs, lamp=outputs, script=scripts, dies=st.booleans())
def test_whatever_happens_every_output_ends_off(
    laser: Stubborn, lamp: Stubborn, script: list[tuple[int, object]], dies: bool
) -> None:
    clock, heard = ManualClock(), Watcher()
    rig: dict[str, Output] = {"laser": laser, "lamp": lamp}
    with (
        suppress(DeepLabStreamError, ZeroDivisionError),
        opened(rig, clock, heard.append) as bank,
    ):
        with suppress(DeepLabStreamError):
            play(bank, clock, script)
        if dies:
            raise ZeroDivisionError
    for output in (laser, lamp):
        last_write_failed = output.fails_at == len(output.asked) - 1
        assert not output.asked or output.asked[-1] == 0
        assert last_write_failed or not output.levels or output.levels[-1] == 0


@given(laser=outputs, script=scripts)
def test_nothing_is_on_for_longer_than_its_limit(
    laser: Stubborn, script: list[tuple[int, object]]
) -> None:
    clock, heard = ManualClock(), Watcher()
    with (
        suppress(DeepLabStreamError),
        opened({"laser": laser}, clock, heard.append) as bank,
    ):
        play(bank, clock, script)
    on_since_ns = None
    for entry in heard:
        if not isinstance(entry, Edge):
            continue
        if entry.level > 0 and on_since_ns is None:
            on_since_ns = entry.written_ns
        elif entry.level == 0 and on_since_ns is not None:
            limit_ns = laser.max_on_s * 1e9
            if laser.fails_at >= 0:
                limit_ns += RETRY_NS
            assert entry.written_ns - on_since_ns <= limit_ns
            on_since_ns = None
