"""Recording of another program: the edges of one of its lines, and how a user names it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.alignment.sync_signals import Edges


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """A user's options for a recording.

    Attributes
    ----------
    line : str
        Line, channel or stream with the sync signal; empty: the only one.
    unit : str
        Unit of the times in a CSV.
    rate : float
        Samples per second, where times in a CSV count samples; 0: they do not.
    both_edges : bool
        Times in a CSV without levels are of rising and falling edges in turn.
    threshold : float
        Level of an analogue line, in its unit, above which it is high; NaN: half-way
        between its lowest and its highest value.
    """

    line: str = ""
    unit: str = "s"
    rate: float = 0.0
    both_edges: bool = False
    threshold: float = float("nan")


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """Edges of one line of a recording.

    Attributes
    ----------
    path : pathlib.Path
        File or folder.
    kind : str
        Key of `READERS`.
    line : str
        Where the edges come from, in words.
    edges : Edges
        On the recorder's clock, in seconds.
    spans_s : tuple of (float, float)
        Start and end of each part on the recorder's clock; empty: not known.
    resolution_s : float
        Time between two samples.
    """

    path: Path
    kind: str
    line: str
    edges: Edges
    spans_s: tuple[tuple[float, float], ...] = ()
    resolution_s: float = 0.0


def level_edges(
    high: NDArray[np.bool_], start_s: float, rate: float, before: bool | None = None
) -> Edges:
    """Return the edges of a sampled line, half-way between two samples.

    Parameters
    ----------
    high : numpy.ndarray of bool, shape (sample,)
        Level of each sample.
    start_s : float
        Time of the first sample.
    rate : float
        Samples per second.
    before : bool, optional
        Level before the first sample, if known.

    Returns
    -------
    Edges
        One where two neighbours differ.
    """
    changes = np.flatnonzero(np.diff(high)) + 1
    if before is not None and len(high) and bool(high[0]) != before:
        changes = np.concatenate([[0], changes])
    times = start_s + (changes.astype(np.float64) - 0.5) / rate
    return Edges(times, high[changes], np.zeros(len(changes), np.int64))
