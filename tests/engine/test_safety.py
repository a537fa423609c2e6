"""The promise of docs/outputs.md: whatever happens, the last level of every output is off.

Kills of the engine are in `test_guard.py` (each kind of output), of a test pulse in
`test_tryout.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Command, Mark, Pulse, Set, Train, TriggerName
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Edge, Entry
from deeplabstream.core.regions import Circle
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.experiment import Experiment, ObservationRequest, Plan
from deeplabstream.plugins.output import Output
from deeplabstream.settings.sections import ExperimentRun
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.loop_rig import IN, LOST, MS, OUT, Place, Rig, Script, rig
from tests.outputs.stubborn import LAMP, LASER, NOBODY, Stubborn, Watcher

names = st.sampled_from([LASER, LAMP] * 5 + [NOBODY])
levels = st.sampled_from([0.0, 0.25, 1.0, 1.0, 1.5])
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Set, names, levels),
    st.builds(Pulse, names, st.floats(-0.1, 3.0), levels),
    st.builds(Mark, st.just("go")),
)


@settings(kw_only=True)
class Written(Experiment):
    """Asks for what a script says, frame by frame; then breaks, ends or waits."""

    trigger: TriggerName = TriggerName("inside")
    script: tuple[tuple[Command, ...], ...] = ()
    breaks: bool = False

    def plan(self) -> Plan[None]:
        for orders in self.script:
            for order in orders:  # noqa: UP028  (a plan is sent observations)
                yield order
            yield ObservationRequest.NEXT
        if self.breaks:
            raise RuntimeError("a bug in a lab's file")


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[str, float]]:
    """A run: what comes next, and how many milliseconds later."""
    kinds = ["frame"] * 12 + ["late frame", "silence", "other camera", "end", "kill"]
    each = st.tuples(st.sampled_from(kinds), st.sampled_from([1.0, 10.0, 200.0, 900.0]))
    return draw(st.lists(each, max_size=25))


class Killed(BaseException):
    """Nothing that anybody would catch."""


def play(loop: Loop, clock: ManualClock, run: list[tuple[str, float]]) -> None:
    """Have it happen."""
    for index, (kind, wait_ms) in enumerate(run):
        if kind == "kill":
            raise Killed
        now_ns = clock.now_ns() + round(wait_ms * MS)
        with suppress(DeepLabStreamError):  # as the ticker's thread does
            if (bank := loop._experiment.bank) is not None:
                catch_up(bank, clock, now_ns)
        clock.set(max(now_ns, clock.now_ns()))
        if kind == "end":
            loop.end()
        elif kind == "silence":
            loop.idle()
        else:
            age_ns = 300 * MS if kind == "late frame" else 0
            camera = "side" if kind == "other camera" else "top"
            taken_ns = clock.now_ns() - age_ns
            picture = np.zeros((4, 4), np.uint8)
            loop.step(Frame(camera, index, taken_ns, taken_ns, picture))


outputs = st.builds(
    Stubborn,
    fails_at=st.integers(-1, 8),
    then=st.sampled_from([None, LAMP]),
    then_after_s=st.just(1.0),
    max_on_s=st.sampled_from([0.5, 2.0]),
)
places = st.lists(st.sampled_from([IN, IN, OUT, LOST]), max_size=25)


@given(
    laser=outputs,
    lamp=outputs,
    script=st.lists(st.lists(commands, max_size=3).map(tuple), max_size=12).map(tuple),
    breaks=st.booleans(),
    seen=places,
    run=happenings(),
)
def test_whatever_happens_in_a_run_every_output_ends_off(
    laser: Stubborn,
    lamp: Stubborn,
    script: tuple[tuple[Command, ...], ...],
    breaks: bool,
    seen: list[Place],
    run: list[tuple[str, float]],
) -> None:
    clock, heard = ManualClock(), list[Entry]()
    devices: dict[str, Output] = {"laser": laser, "lamp": lamp}
    rules = ExperimentRun(max_age_ms=100, lost_ms=100, patience_s=0.5)
    poses = Script(chain(seen, repeat(IN)))
    with (
        suppress(Killed, DeepLabStreamError),
        opened(devices, clock, heard.append) as it,
    ):
        loop = Loop(poses, rules, "top", clock, heard.append, 0)
        place = InsideRegion(bodyparts=("snout",), region=Circle(50, 50, 9))
        loop.begin(Written(script=script, breaks=breaks), {"inside": place}, it)
        play(loop, clock, run)
    for output in (laser, lamp):
        last_write_failed = output.fails_at == len(output.asked) - 1
        assert not output.asked or output.asked[-1] == 0
        assert last_write_failed or not output.levels or output.levels[-1] == 0


names_of_two = st.sampled_from([LASER, LASER, LASER, LAMP])
levels_of_four = st.sampled_from([0.0, 0.25, 0.5, 1.0])
good_commands: st.SearchStrategy[Set | Pulse | Train] = st.one_of(
    st.builds(Set, names_of_two, levels_of_four),
    st.builds(Pulse, names_of_two, st.floats(0.01, 3.0), levels_of_four),
    st.builds(
        Train,
        names_of_two,
        st.floats(0.5, 4.0),
        st.floats(0.01, 0.2),
        st.integers(1, 6),
        levels_of_four,
    ),
)


@given(
    begun=st.lists(good_commands, min_size=1, max_size=2).map(tuple),
    late=st.lists(
        st.tuples(good_commands, st.floats(0, 400.0)), min_size=1, max_size=6
    ),
)
def test_a_frame_too_old_only_lowers_and_ends_earlier(
    begun: tuple[Command, ...], late: list[tuple[Set | Pulse | Train, float]]
) -> None:
    """Beside it runs a bank that does not hear of the commands of frames too old."""
    plan = Written(script=(begun, *((order,) for order, _ in late)))
    told = Watcher()
    with (
        rig([IN] * (len(late) + 1), plan, max_age_ms=50) as it,
        opened(
            {"laser": Stubborn(), "lamp": Stubborn()}, it.clock, told.append
        ) as other,
    ):
        it.bank.open("laser", Stubborn())
        it.bank.open("lamp", Stubborn())
        it.show()
        other.apply(begun, it.clock.now_ns())
        for order, later_ms in late:
            advance(it, other, later_ms + 80)
            notes, before = it.notes(), it.bank.levels
            it.index = it.clock.now_ns() // (10 * MS) - 8
            it.show(late_ms=0)
            assert it.steps[-1].too_old
            assert it.steps[-1].triggers == {"inside": None}
            level = it.bank.levels[order.output]
            assert level <= min(before[order.output], order.level)
            if order.level > before[order.output]:
                assert it.notes()[len(notes) :].endswith(TOO_OLD)
        advance(it, other, 60_000)
        assert set(it.bank.levels.values()) == set(other.levels.values()) == {0.0}
    for name in ("laser", "lamp"):
        mine, without = (course(each, name) for each in (it.entries, told))
        for at_ns in sorted({*mine, *without}):
            assert at(mine, at_ns) <= at(without, at_ns)


def advance(it: Rig, other: OutputBank, ms: float) -> None:
    """Put the clock forward, and do on the way what falls due in both banks."""
    until_ns = it.clock.now_ns() + round(ms * MS)
    while True:
        due = [bank.tick(it.clock.now_ns()) for bank in (it.bank, other)]
        next_ns = min((each for each in due if each is not None), default=until_ns)
        if next_ns >= until_ns:
            break
        it.clock.set(next_ns)
    it.clock.set(until_ns)
    it.bank.tick(until_ns)
    other.tick(until_ns)


def course(entries: Sequence[Entry], name: str) -> dict[int, float]:
    """Return the levels of an output by the time at which it got them."""
    edges = [e for e in entries if isinstance(e, Edge) and e.output == name]
    return {edge.written_ns: edge.level for edge in edges}


def at(levels: Mapping[int, float], at_ns: int) -> float:
    return levels[max(each for each in levels if each <= at_ns)]


@pytest.mark.parametrize(
    ("late", "level", "end_ms", "said"),
    [
        (Set(LASER, 0.5), 0.5, 200, "raised or kept on longer"),
        (Set(LASER, 1.0), 1.0, 200, "switched on"),
        (Pulse(LASER, 0.1, 0.5), 0.5, 180, ""),
        (Pulse(LASER, 0.1), 1.0, 180, ""),
        (Pulse(LASER, 10.0, 0.5), 0.5, 200, "raised or kept on longer"),
        (Pulse(LASER, 10.0), 1.0, 200, "switched on"),
        (Train(LASER, 1.0, 0.5, 20, 0.5), 0.5, 200, "raised or kept on longer"),
        (Train(LASER, 50.0, 0.01, 2, 0.5), 0.5, 90, ""),
        (Set(LASER, 0.0), 0.0, 90, ""),
    ],
)
def test_a_frame_too_old_keeps_the_end_of_a_pulse(
    late: Command, level: float, end_ms: int, said: str
) -> None:
    plan = Written(script=((Pulse(LASER, 0.2),), (late,)))
    with rig([IN] * 3, plan, max_age_ms=50) as it:
        it.bank.open("laser", Stubborn())
        it.show()
        it.index = 0
        it.show(late_ms=80)
        assert it.steps[-1].too_old
        assert it.bank.levels["laser"] == level
        *_, note = it.notes().splitlines()
        assert note == (f"{LASER} was not {said}{TOO_OLD}" if said else "started")
        catch_up(it.bank, it.clock, end_ms * MS - 1)
        assert it.bank.levels["laser"] == level
        catch_up(it.bank, it.clock, end_ms * MS)
        assert it.bank.levels["laser"] == 0


@pytest.mark.parametrize("late", [Set(LASER, 0.5), Pulse(LASER, 0.01), Set(LASER, 0.0)])
def test_a_frame_too_old_that_would_change_a_train_ends_it(late: Command) -> None:
    plan = Written(script=((Train(LASER, 10.0, 0.05, 20),), (late,)))
    with rig([IN] * 3, plan, max_age_ms=50) as it:
        it.bank.open("laser", Stubborn())
        it.show()
        it.index = 0
        catch_up(it.bank, it.clock, 120 * MS)
        assert it.bank.levels["laser"] == 1
        it.show()
        assert it.steps[-1].too_old
        assert it.bank.levels["laser"] == 0
        catch_up(it.bank, it.clock, 3000 * MS)
        assert it.bank.levels["laser"] == 0


TOO_OLD = ": the frame is too old"
