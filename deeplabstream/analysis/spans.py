"""Spans of results: the whole run, time bins, and phases around events."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np

from deeplabstream.analysis.options import LIGHT_CYCLE, AnalysisOptions
from deeplabstream.analysis.run_data import RunData
from deeplabstream.analysis.tracks import Spans, joined, outside_of
from deeplabstream.core.errors import DeepLabStreamError

MOST_BINS = 10_000


@dataclass(frozen=True, eq=False)
class TimeSpan:
    """A part of a run for which measures are computed."""

    name: str
    """`whole`, `bin 1`, `during laser`, `stage 2` …"""
    kind: Literal["whole", "bin", "phase"]
    spans: Spans
    """(span, 2): start and end of each piece, s since Start Stream; in order."""

    @property
    def start_s(self) -> float:
        """Start of the first piece."""
        return float(self.spans[0, 0])

    @property
    def end_s(self) -> float:
        """End of the last piece."""
        return float(self.spans[-1, 1])


def spans_of(data: RunData, options: AnalysisOptions) -> tuple[TimeSpan, ...]:
    """Return the whole run, its bins and its phases; phases that never occur are left out.

    DeepLabStreamError: an option does not fit the run.
    """
    start_s, end_s = data.period
    first_s = start_s + (options.start_s or 0)
    last_s = end_s if options.end_s is None else min(end_s, start_s + options.end_s)
    if first_s >= last_s:
        raise DeepLabStreamError(
            f"start_s = {options.start_s:g}: {data.folder.path.name} lasts "
            f"{end_s - start_s:g} s"
        )
    whole = np.array([[first_s, last_s]])
    found = [TimeSpan("whole", "whole", whole)]
    if options.bin_s and (last_s - first_s) / options.bin_s > MOST_BINS:
        raise DeepLabStreamError(
            f"bin_s = {options.bin_s:g}: more than {MOST_BINS} bins in "
            f"{data.folder.path.name}; use longer bins"
        )
    if options.bin_s:
        found += _bins(first_s, last_s, options.bin_s)
    for phase in options.phases:
        for name, spans in _phase(phase, data, options, (first_s, last_s)):
            clipped = np.clip(spans, first_s, last_s)
            clipped = clipped[clipped[:, 1] > clipped[:, 0]]
            if len(clipped):
                found.append(TimeSpan(name, "phase", joined(clipped, 0)))
    return tuple(found)


def _bins(first_s: float, last_s: float, bin_s: float) -> Iterator[TimeSpan]:
    """Yield the time bins; the last one ends with the run."""
    for number in count(1):
        begin_s = first_s + (number - 1) * bin_s
        if begin_s >= last_s - 1e-9:
            return
        piece = np.array([[begin_s, min(first_s + number * bin_s, last_s)]])
        yield TimeSpan(f"bin {number}", "bin", piece)


def _phase(
    phase: str, data: RunData, options: AnalysisOptions, period: tuple[float, float]
) -> list[tuple[str, Spans]]:
    if phase == LIGHT_CYCLE:
        return _light_phases(data, period)
    kind, _, output = phase.partition(":")
    if kind in ("stimulation", "light"):
        if output not in data.outputs:
            names = ", ".join(data.outputs) or "none"
            raise DeepLabStreamError(
                f"phases = {phase}: {data.folder.path.name} has no output {output!r}; its "
                f"outputs: {names}"
            )
        on = joined(data.outputs[output], options.stimulus_gap_s)
        if kind == "light":
            off = outside_of(on, *period)
            return [(f"{output} on", on), (f"{output} off", off)]
        return _around(on, output, options, period)
    if phase == "trials":
        if not data.trials:
            return []
        trials = np.array([(t.start_s, t.end_s) for t in data.trials])
        inside = _united(trials)
        return [("in trials", inside), ("between trials", outside_of(inside, *period))]
    if phase == "stages":
        return list(data.stages.items())
    raise DeepLabStreamError(
        f"phases = {phase}: expected stimulation:OUTPUT, light:OUTPUT, {LIGHT_CYCLE}, trials "
        "or stages"
    )


def _light_phases(
    data: RunData, period: tuple[float, float]
) -> list[tuple[str, Spans]]:
    """Return the light and the dark phase of the room."""
    if data.light_cycle is None:
        raise DeepLabStreamError(
            f"phases = {LIGHT_CYCLE}: {data.folder.path.name} has no light cycle; it needs "
            "LIGHTS_ON and LIGHTS_OFF in [Light Cycle], and the local time of its start"
        )
    light = np.array([*data.light_cycle.light_spans(*period)]).reshape(-1, 2)
    return [("light phase", light), ("dark phase", outside_of(light, *period))]


def _around(
    on: Spans, output: str, options: AnalysisOptions, period: tuple[float, float]
) -> list[tuple[str, Spans]]:
    """Return the time before, during and after stimulations.

    Before ends where the previous stimulation ends, after where the next one begins.
    """
    begins, ends = on.T
    before_from = np.maximum(
        begins - options.before_s, np.concatenate([[period[0]], ends[:-1]])
    )
    after_to = np.minimum(
        ends + options.after_s, np.concatenate([begins[1:], [period[1]]])
    )
    return [
        (f"before {output}", np.column_stack([before_from, begins])),
        (f"during {output}", on),
        (f"after {output}", np.column_stack([ends, after_to])),
    ]


def _united(spans: Spans) -> Spans:
    """Return spans in order, with overlapping ones merged."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(map(tuple, spans.tolist())):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return np.array(found, np.float64).reshape(-1, 2)
