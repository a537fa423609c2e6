"""Trial preview: trials of an experiment in order, computed from its plan and its seed.

The plan gets observations in which each trigger that it waits for is true at once, and false
after `STAYS_S`. Random order and pauses are those of a run with the same seed, as far as they
do not depend on the animal.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from deeplabstream.core.command import Command, Mark, Pulse, Set, Train
from deeplabstream.core.errors import ExperimentError
from deeplabstream.plugins.experiment import Experiment, Observation, PlanRunner

STAYS_S = 2.0
"""Time for which a trigger of the plan is true."""
MOST_ROWS = 400
_LONGEST_S = 24 * 3600.0
_YIELD_EVERY = 500


@dataclass
class Row:
    """Row of the preview: an event with its time and outputs."""

    time_s: float
    """Earliest time since the start of the experiment; a real animal may delay it."""
    text: str
    outputs: list[str] = field(default_factory=list)
    """Outputs that switch on, with durations."""
    open: dict[str, float] = field(default_factory=dict)
    """Outputs that are on, with the times at which they were switched on."""

    @property
    def outputs_text(self) -> str:
        """Outputs that switch on; equal neighbours are counted."""
        counted = [(output, len([*same])) for output, same in groupby(self.outputs)]
        return ", ".join(f"{n} × ({text})" if n > 1 else text for text, n in counted)

    def add(self, command: Command, now_s: float) -> None:
        """Add the effect of a command on an output."""
        match command:
            case Pulse(output, seconds):
                self.outputs.append(f"{output} {_s(seconds)}")
            case Train(output, frequency, width_s, count):
                pulses = f"{count} × {width_s * 1000:.3g} ms at {frequency:g} Hz"
                self.outputs.append(f"{output} {pulses}")
            case Set(output, level) if level > 0:
                self.open.setdefault(output, now_s)


class _ImmediateObservation(Observation):
    """An observation in which every trigger holds until the animal has left."""

    __slots__ = ("_left",)
    _left: Callable[[], bool]

    def holds(self, trigger: str) -> bool:
        return True

    def fails(self, trigger: str) -> bool:
        return self._left()


class _SameForAll(dict[str, Any]):
    """Mapping with one value for every key."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __missing__(self, _key: str) -> object:
        return self._value


class _ScriptedAnimal:
    """Satisfies every trigger, until `STAYS_S` after the plan begins to wait for its end."""

    def __init__(self, period_s: float) -> None:
        self._frames = round(STAYS_S / period_s)
        self._waited_frames = 0
        self._index = self._last_checked_index = -1

    def frame(self, index: int, time_s: float) -> Observation:
        self._index = index
        seen = _ImmediateObservation(
            time_s, _SameForAll(True), {}, _SameForAll(1.0), _SameForAll(1.0)
        )
        object.__setattr__(seen, "_left", self.left)
        return seen

    def left(self) -> bool:
        """Return whether it has left; the frames on which the plan checks this are counted."""
        # a gap: the plan waits for something new, so the hold time starts again
        if self._index - self._last_checked_index > 1:
            self._waited_frames = 0
        self._waited_frames += self._index != self._last_checked_index
        self._last_checked_index = self._index
        return self._waited_frames > self._frames


def preview_trials(
    experiment: Experiment, rate: float = 30.0, limit_s: float = 0.0
) -> Iterator[Row | None]:
    """Yield row after row; None every `_YIELD_EVERY` frames, so that a window stays responsive.

    `limit_s`: time limit of the experiment; 0: none. The last row states how it ended.
    ExperimentError: the plan needs a real animal.
    """
    stepper, animal = PlanRunner(experiment.plan()), _ScriptedAnimal(1 / rate)
    rows: list[Row] = []
    n_rows, index, time_s = 0, 0, 0.0
    end_s = limit_s or _LONGEST_S
    while n_rows < MOST_ROWS and time_s < end_s:
        for command in _commands(stepper, animal.frame(index, time_s)):
            _note(rows, command, time_s)

        # a row whose output is still on is kept back: its duration is not known yet
        while len(rows) > 1 and not rows[0].open:
            yield rows.pop(0)
            n_rows += 1

        if stepper.finished:
            break
        index += 1
        time_s = index / rate
        if index % _YIELD_EVERY == 0:
            yield None

    for row in rows if n_rows < MOST_ROWS else ():
        for output in list(row.open):
            _close(rows, output, time_s)
        yield row

    if stepper.finished:
        yield Row(time_s, "it ends")
    elif n_rows >= MOST_ROWS:
        yield Row(time_s, "and so on")
    else:
        yield Row(time_s, "EXP_TIME_S ends it" if limit_s else "and so on")


def _commands(stepper: PlanRunner, seen: Observation) -> tuple[Command, ...]:
    try:
        return stepper.step(seen)
    except ExperimentError:
        raise
    except Exception as error:  # a lab's own plan may fail on simulated answers
        text = f"no preview without an animal ({type(error).__name__}: {error})"
        raise ExperimentError(text) from error


def _note(rows: list[Row], command: Command, now_s: float) -> None:
    match command:
        case Mark(text):
            rows.append(Row(now_s, text))
        case Set(output, level) if level <= 0:
            _close(rows, output, now_s)
        case _:
            if not rows or (rows[-1].outputs and not rows[-1].text):
                rows.append(Row(now_s, ""))
            rows[-1].add(command, now_s)


def _close(rows: list[Row], output: str, now_s: float) -> None:
    """Add the duration to the row that switched the output on."""
    for row in rows:
        if output in row.open:
            row.outputs.append(f"{output} {_s(now_s - row.open.pop(output))}")
            return


def _s(seconds: float) -> str:
    return (
        f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s".replace(".0 s", " s")
    )
