"""Sync signals: edges of a TTL line, random pulses, and 32-bit barcodes.

Random pulses have the timing of pyControl's Rsync: 50 ms long, intervals drawn evenly from
0.1 to 1.9 times their mean. Barcodes have the timing of the Optogenetics and Neural
Engineering Core (University of Colorado): off, on, off for 10 ms each, 32 bars of 30 ms,
the least significant bit first, off, on, off again; the number grows by one from code to
code. The board's firmware (firmware/DeepLabStreamBoard/sync.h) has the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PULSE_S = 0.05
"""Length of a random pulse."""
PULSE_MEAN_S = 5.0
PULSE_SPREAD = (0.1, 1.9)
"""Shortest and longest interval of random pulses, in means."""
WRAP_S, BAR_S, BARS = 0.01, 0.03, 32
CODE_S = 6 * WRAP_S + BARS * BAR_S
CODE_EVERY_S = 5.0
_EDGE_TOLERANCE_S = 0.004
"""Largest deviation of an edge of a code from its bar."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of one TTL line, in the order in which they were recorded.

    Attributes
    ----------
    times_s : numpy.ndarray of float64, shape (edge,)
        Seconds on one clock; they increase within a part.
    rising : numpy.ndarray of bool, shape (edge,)
        Whether the line went high.
    parts : numpy.ndarray of int64, shape (edge,)
        Number of the uninterrupted part of the recording, from 0.
    """

    times_s: Floats
    rising: Bools
    parts: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.parts):
            backwards = np.diff(self.times_s, prepend=-np.inf) <= 0
            object.__setattr__(self, "parts", np.cumsum(backwards).astype(np.int64))

    def __len__(self) -> int:
        return len(self.times_s)

    def inverted(self) -> "Edges":
        """Return the edges of the inverted line."""
        return replace(self, rising=~self.rising)

    def at(self, chosen: NDArray[np.generic]) -> "Edges":
        """Return some of the edges, by index or mask."""
        return Edges(self.times_s[chosen], self.rising[chosen], self.parts[chosen])


@dataclass(frozen=True, slots=True)
class Codes:
    """Barcodes that were read from a line.

    Attributes
    ----------
    values : numpy.ndarray of int64, shape (code,)
        The numbers.
    edges : numpy.ndarray of int64, shape (code,)
        Index of the rising edge that begins each.
    """

    values: Ints
    edges: Ints


def random_pulses(
    seed: int, seconds: float, mean_s: float = PULSE_MEAN_S, pulse_s: float = PULSE_S
) -> Edges:
    """Return pulses at random intervals, from 0 s on.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    seconds : float
        Length of the train.
    mean_s : float
        Mean interval from one rising edge to the next.
    pulse_s : float
        Length of a pulse, less than the shortest interval.

    Returns
    -------
    Edges
        Rising and falling edges in turn.
    """
    draw = np.random.default_rng(seed)
    count = int(seconds / mean_s * 1.2) + 20
    starts = np.cumsum(draw.uniform(*PULSE_SPREAD, count) * mean_s)
    starts = starts[starts < seconds - pulse_s]
    times = np.column_stack([starts, starts + pulse_s]).ravel()
    return Edges(times, np.arange(len(times)) % 2 == 0)


def barcodes(first: int, seconds: float, every_s: float = CODE_EVERY_S) -> Edges:
    """Return barcodes that count up, from 0 s on.

    Parameters
    ----------
    first : int
        Number of the first code.
    seconds : float
        Length of the train.
    every_s : float
        From the start of one code to the next.

    Returns
    -------
    Edges
        Rising and falling edges in turn.
    """
    times: list[float] = []
    for number in range(int((seconds - CODE_S) / every_s) + 1):
        times += [number * every_s + at for at in code_edges_s(first + number)]
    return Edges(np.array(times), np.arange(len(times)) % 2 == 0)


def code_edges_s(value: int) -> list[float]:
    """Return the times of the edges of a barcode from its start, rising first.

    >>> [round(at, 3) for at in code_edges_s(0b101)]
    [0.01, 0.02, 0.03, 0.06, 0.09, 0.12, 1.0, 1.01]
    """
    levels = [1, 0, *(value >> bar & 1 for bar in range(BARS)), 0, 1, 0]
    lengths = [WRAP_S, WRAP_S, *([BAR_S] * BARS), WRAP_S, WRAP_S, WRAP_S]
    edges, level, at = [], 0, WRAP_S
    for now, length in zip(levels, lengths, strict=True):
        if now != level:
            edges.append(at)
        level, at = now, at + length
    return edges


def read_codes(edges: Edges, resolution_s: float = 0.0) -> Codes:
    """Return the barcodes of a line; those with lost or wrong edges are left out.

    Parameters
    ----------
    edges : Edges
        Of a line that is low between the codes.
    resolution_s : float
        Time between two samples of the recorder.

    Returns
    -------
    Codes
        In order; none when the line carries no barcodes.
    """
    times, tolerance = edges.times_s, _EDGE_TOLERANCE_S + resolution_s

    # A code begins after a pause, with a bar of known width.
    gaps = np.diff(times, prepend=-np.inf)
    begins = edges.rising & ((gaps > BAR_S + 2 * WRAP_S) | (gaps <= 0))
    width = np.diff(times, append=np.inf)
    begins &= np.abs(width - WRAP_S) <= tolerance

    # The bars of a code end within its length; edges of the next part are left out.
    values, starts = [], []
    for start in np.flatnonzero(begins):
        near = slice(start, start + 2 * BARS + 8)
        inside = edges.parts[near] == edges.parts[start]
        inside &= times[near] < times[start] + CODE_S
        stop = int(start) + int(inside.sum())
        if (value := _code(edges, int(start), stop, tolerance)) is not None:
            values.append(value)
            starts.append(start)
    return Codes(np.array(values, np.int64), np.array(starts, np.int64))


def _code(edges: Edges, start: int, stop: int, tolerance: float) -> int | None:
    """Return the number of one code; None when an edge does not fit."""
    times = edges.times_s[start:stop] - edges.times_s[start]
    alternate = edges.rising[start:stop] == (np.arange(stop - start) % 2 == 0)
    first_bar = 2 * WRAP_S
    if len(times) < 4 or len(times) % 2 or not alternate.all():
        return None
    ends = first_bar + BARS * BAR_S + np.array([WRAP_S, 2 * WRAP_S])
    if np.any(np.abs(times[-2:] - ends) > tolerance):
        return None
    inner = times[2:-2]
    bars = np.round((inner - first_bar) / BAR_S).astype(int)
    off = np.abs(inner - first_bar - bars * BAR_S)
    if np.any(off > tolerance) or np.any(np.diff(bars) < 1):
        return None
    if len(bars) and (bars[0] < 0 or bars[-1] > BARS):
        return None
    value = 0
    for on, off_bar in zip(bars[::2], bars[1::2], strict=True):
        value |= (1 << int(off_bar)) - (1 << int(on))
    return value


def joined(parts: Sequence[Edges]) -> Edges:
    """Return the edges of several parts of a recording, each part with its number."""
    return Edges(
        np.concatenate([part.times_s for part in parts] or [np.empty(0)]),
        np.concatenate([part.rising for part in parts] or [np.empty(0, bool)]),
        np.concatenate(
            [np.full(len(part), n, np.int64) for n, part in enumerate(parts)]
            or [np.empty(0, np.int64)]
        ),
    )
