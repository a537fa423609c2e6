"""A recorder with a clock of its own that sees the sync line of a run."""

from dataclasses import dataclass

import numpy as np

from deeplabstream.recording.alignment.sync_signals import Edges, Floats, Ints


@dataclass(frozen=True)
class Recorder:
    """Its clock is `offset_s` ahead and runs faster by `ppm`; at `restart_s` it is 0 again."""

    offset_s: float = 500.0
    ppm: float = 40.0
    restart_s: float = np.inf
    jitter_s: float = 0.0001

    def clock(self, times_s: Floats) -> Floats:
        there = self.offset_s + times_s * (1 + 1e-6 * self.ppm)
        again = (times_s - self.restart_s) * (1 + 1e-6 * self.ppm)
        return np.where(times_s < self.restart_s, there, again)

    def record(
        self,
        line: Edges,
        seed: int = 0,
        lost: float = 0.0,
        extra: float = 0.0,
        gap_s: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Edges, Ints]:
        """Return the recorded edges, and the index of each on the line; -1: an extra one."""
        draw = np.random.default_rng(seed)
        times = line.times_s
        kept = draw.random(len(times)) >= lost
        kept &= (times < gap_s[0]) | (times > gap_s[1])
        truth = np.flatnonzero(kept)
        more = round(extra * len(times))
        at = np.concatenate([times[kept], draw.uniform(times[0], times[-1], more)])
        truth = np.concatenate([truth, np.full(more, -1)])
        rising = np.concatenate([line.rising[kept], draw.random(more) < 0.5])
        jitter = draw.uniform(-self.jitter_s, self.jitter_s, len(at))
        seen = self.clock(at) + jitter
        part = (at >= self.restart_s).astype(np.int64)
        order = np.lexsort((seen, part))
        return Edges(seen[order], rising[order], part[order]), truth[order]
