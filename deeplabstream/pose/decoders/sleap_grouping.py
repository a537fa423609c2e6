"""Grouping of peaks to animals with SLEAP's line scores and matching.

Networks imported from SLEAP-NN are grouped as SLEAP-NN does (`sleap_nn/inference/ops/paf.py`
of version 0.3.5), so that they find the same animals. `PafGrouper` is stricter: it counts
the worst samples of a line, which suits networks that are trained here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.decoders.paf_grouping import PafGrouper, Peaks, find_peaks
from deeplabstream.pose.decoders.part_affinity_fields import SAMPLES

LONGEST = 0.25
"""Longest edge without a penalty, as a share of the fields' longest axis."""
MOST_PEAKS = 40
"""Peaks of a body part that are considered; more only of more than half as many animals."""


@dataclass(frozen=True, slots=True)
class SleapGrouper(PafGrouper):
    """Lines count by their mean; as many pairs as possible are made, then weak ones dropped.

    The edges form a tree: a pair is one of the chosen pairs of its edge, or none.
    """

    fields_stride: int = 0
    """Input pixels per cell of the fields before they were resized; 0: `stride`."""

    def peaks(self, maps: NDArray[np.float32]) -> Peaks:
        """Return the peaks of heat maps (bodypart, h, w)."""
        return find_peaks(maps, self.floor, max(MOST_PEAKS, 2 * self.most))

    def evidence(
        self, peaks: Peaks, points: NDArray[np.float32], fields: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (m, m): the line scores of the chosen pairs, otherwise 0."""
        evidence = np.zeros((len(peaks), len(peaks)), np.float32)
        for edge, (one, other) in enumerate(self.edges):
            starts = np.flatnonzero(peaks.maps == one)
            ends = np.flatnonzero(peaks.maps == other)
            if not (len(starts) and len(ends)):
                continue
            field = fields[2 * edge : 2 * edge + 2]
            scores = self._line_scores(
                field, points[starts], points[ends], len(self.edges)
            )

            # Pairs are chosen before weak ones are dropped, as SLEAP-NN does.
            for row, column in assign(-scores):
                if (score := scores[row, column]) >= self.link:
                    evidence[starts[row], ends[column]] = score
        return evidence + evidence.T

    def strength(
        self,
        peaks: Peaks,
        group: NDArray[np.intp],
        evidence: NDArray[np.float32],
    ) -> float:
        """Return the sum of the line scores of an animal: the strongest are kept."""
        return float(evidence[np.ix_(group, group)].sum())

    def _line_scores(
        self,
        field: NDArray[np.float32],
        starts: NDArray[np.float32],
        ends: NDArray[np.float32],
        edges: int,
    ) -> NDArray[np.float32]:
        """Return scores (start, end) of lines in a field (2, h, w); NaN: of no length.

        The mean of the field along the line, from its first to its last point, less a
        penalty for lines longer than `LONGEST`. Points are in input pixels.
        """
        _, height, width = field.shape
        fields_px = self.fields_stride or self.stride
        along = ends[None] - starts[:, None]
        length = np.hypot(along[..., 0], along[..., 1])
        length = np.where(length > 0, length, np.nan)

        # Samples are at cells of the fields before they were resized: each `step`-th cell here.
        step = fields_px // self.stride
        share = np.linspace(0, 1, SAMPLES, dtype=np.float32)[:, None]
        at = starts[:, None, None] + share * along[:, :, None]
        cells = np.rint((at - self.origin) / np.float32(fields_px)).astype(np.intp)
        most = np.array([(width - 1) // step, (height - 1) // step])
        cells = np.clip(cells, 0, most) * step
        vectors = field[:, cells[..., 1], cells[..., 0]]
        fit = (vectors[0] * along[..., :1] + vectors[1] * along[..., 1:]).mean(axis=2)

        sides = (height * self.stride, width * self.stride, 2 * edges * fields_px)
        penalty = np.minimum(LONGEST * max(sides) / length - 1, 0)
        return np.asarray(fit / length + penalty, np.float32)
