"""Events of a run: on-times of outputs, trials with outcome and reaction time, stages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.analysis.tracks import Floats, Spans

_TRIAL = re.compile(r"trial (\d+)(?:(?::| )\s*(.*))?")
"""Marks of experiments: `trial 3: tone`, `trial 3: right`, `trial 3`, `trial 3 over`."""
_NO_STAGE = re.compile(
    r"running|waits for the (light|dark) phase"
    r"|(trial|pulse|reward|drop|contact|entry|exit) \d+.*"
)
"""Statuses that are not stages of an experiment."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial, from the marks of the experiment."""

    number: int
    start_s: float
    end_s: float
    """Time of its outcome mark; without one, of the next trial or the end of the experiment."""
    stimulus: str = ""
    """Text of its first mark."""
    outcome: str = ""
    """Text of its second mark: `right`, `wrong`; empty: none."""
    reaction_s: float = np.nan
    """From its start to the first frame on which the answer trigger is true; NaN: never."""
    experiment: int = 1
    """Number of its experiment in the run, from 1."""
    arena: str = ""
    """Arena of its animal; empty: the animals share one."""


def on_spans(times_s: Sequence[float], levels: Sequence[float], end_s: float) -> Spans:
    """Return the spans (pulse, 2) in which an output is on.

    Parameters
    ----------
    times_s, levels : sequence of float
        Time, s, and new level of each edge, in order of time. On: above 0.
    end_s : float
        End of the recorded data, where an output is on that was never switched off.
    """
    starts: list[float] = []
    ends: list[float] = []
    for time_s, level in zip(times_s, levels, strict=True):
        is_on = len(starts) > len(ends)
        if level > 0 and not is_on:
            starts.append(time_s)
        elif level <= 0 and is_on:
            ends.append(time_s)
    if len(starts) > len(ends):
        ends.append(max(end_s, starts[-1]))
    return np.column_stack([starts, ends]).astype(np.float64).reshape(-1, 2)


def trials_of(
    marks: Sequence[tuple[float, str]],
    answers: Floats,
    end_s: float,
    experiment: int = 1,
    arena: str = "",
) -> tuple[TrialRecord, ...]:
    """Return the trials that one experiment marked.

    Parameters
    ----------
    marks : sequence of (float, str)
        Time, s, and text of each mark, in order.
    answers : numpy.ndarray of float64, shape (span, 2)
        Spans in which the answer trigger is true; none: reaction times are NaN.
    end_s : float
        End of the experiment, s.
    experiment : int
        Number of the experiment in the run, from 1.
    arena : str
        Only marks of this arena, `A7: trial 3`; empty: marks without an arena.
    """
    prefix = f"{arena}: " if arena else ""
    begun: dict[int, tuple[float, str]] = {}
    done: dict[int, tuple[float, str]] = {}
    for time_s, text in marks:
        own = text.removeprefix(prefix) if text.startswith(prefix) else ""
        if found := _TRIAL.fullmatch(own):
            number, label = int(found[1]), (found[2] or "").strip()
            (done if number in begun else begun).setdefault(number, (time_s, label))
    trials = []
    starts = sorted(time_s for time_s, _ in begun.values())
    for number, (start_s, stimulus) in sorted(
        begun.items(), key=lambda trial: trial[1]
    ):
        later = [start for start in starts if start > start_s]
        until_s, outcome = done.get(number, (min([*later, end_s]), ""))
        reaction_s = _first_true(answers, start_s, until_s) - start_s
        trials.append(
            TrialRecord(
                number,
                start_s,
                until_s,
                stimulus,
                outcome,
                reaction_s,
                experiment,
                arena,
            )
        )
    return tuple(trials)


def _first_true(spans: Spans, start_s: float, end_s: float) -> float:
    """Return the first moment from `start_s` to `end_s` in a span; NaN: none."""
    inside = spans[(spans[:, 1] > start_s) & (spans[:, 0] <= end_s)]
    return max(start_s, float(inside[0, 0])) if len(inside) else np.nan


def stages_of(statuses: Sequence[str], t: Floats) -> Mapping[str, Spans]:
    """Return the spans in which the experiment had each status, such as `stage 2`.

    Parameters
    ----------
    statuses : sequence of str
        Column `status` of each analysed frame; empty: no experiment runs. `running`,
        waiting for a light phase and counted events such as `trial 3` are left out; `back to
        stage 1` is `stage 1`.
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s. A status lasts to the next frame.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    texts = np.asarray(statuses, object)
    if len(texts) < 2:
        return {}
    changes = np.flatnonzero(np.concatenate([[True], texts[1:] != texts[:-1]]))
    for at, start in enumerate(changes):
        end = changes[at + 1] if at + 1 < len(changes) else len(texts) - 1
        name = str(texts[start]).removeprefix("back to ")
        if name and not _NO_STAGE.fullmatch(name) and end > start:
            found.setdefault(name, []).append((t[start], t[end]))
    return {name: np.array(spans) for name, spans in found.items()}
