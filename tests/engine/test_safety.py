"""The promise of docs/outputs.md: whatever happens, the last level of every output is off.

Kills of the engine are in `test_guard.py` (each kind of output), of a test pulse in
`test_tryout.py`.
"""

from contextlib import suppress
from itertools import chain, repeat

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Command, Mark, Pulse, Set, TriggerName
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Entry
from deeplabstream.core.regions import Circle
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import catch_up, opened
from deeplabstream.plugins.experiment import Experiment, ObservationRequest, Plan
from deeplabstream.plugins.output import Output
from deeplabstream.settings.sections import ExperimentRun
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.loop_rig import IN, LOST, MS, OUT, Place, Script, rig
from tests.outputs.stubborn import LAMP, LASER, NOBODY, Stubborn

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
            catch_up(loop._conduct.bank, clock, now_ns) if loop._conduct else None
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


@given(seen=places, script=st.lists(commands, min_size=1, max_size=12))
def test_a_frame_too_old_switches_nothing_on_and_holds_no_off_back(
    seen: list[Place], script: list[Command]
) -> None:
    both_on = Set(LASER, 0.5), Set(LAMP, 0.5)
    asked = tuple((order,) for order in script if good(order))
    plan = Written(script=(both_on, *asked))
    with rig([IN, *seen, *[IN] * 40], plan, max_age_ms=50) as it:
        it.bank.open("laser", Stubborn())
        it.bank.open("lamp", Stubborn())
        it.show()
        for (order,) in asked:
            before = it.bank.levels
            it.show(late_ms=80)
            assert it.steps[-1].too_old
            assert it.steps[-1].triggers == {"inside": None}
            after = it.bank.levels
            assert all(after[name] <= before[name] for name in before)
            if isinstance(order, Mark):
                continue
            if order.level <= after[order.output]:
                assert after[order.output] == order.level
            else:
                assert it.notes().endswith(f"{order.output} {TOO_OLD}")


TOO_OLD = "was not switched on: the frame is too old"


def good(order: Command) -> bool:
    if isinstance(order, Mark):
        return True
    seconds = order.seconds if isinstance(order, Pulse) else 1.0
    return order.output != NOBODY and order.level <= 1 and seconds > 0
