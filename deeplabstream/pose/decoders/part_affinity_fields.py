"""Part affinity fields (PAF): encoding for training, and line scores for grouping.

Cao, Simon, Wei & Sheikh, "Realtime multi-person 2D pose estimation using part affinity
fields", CVPR 2017. A field has two maps per edge, x and y of a vector that points from
the edge's first body part to its second, of length 1 on the line between them and
fading to its sides as a Gaussian does (SLEAP: Pereira et al., Nature Methods 2022). The
maps lie one after the other, x before y, edge by edge, as in SLEAP and DeepLabCut.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Edges = Sequence[tuple[int, int]]
"""Pairs of body parts, by index."""
SAMPLES = 10
"""Number of samples on a line."""
WORST = 3
"""Number of samples that count: those with the lowest scores."""


def encode_fields(
    points: NDArray[np.floating], edges: Edges, height: int, width: int, sigma: float
) -> NDArray[np.float32]:
    """Return fields (2 · edge, height, width) of `points` (animal, bodypart, 2) in cells.

    `sigma` is the Gaussian's standard deviation, in cells. Where edges of one kind lie on
    each other, the nearer one is encoded. An edge with an end that is NaN is left out.
    """
    fields = np.zeros((len(edges), 2, height, width), np.float32)
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    grid = grid.astype(np.float32)
    for place, (a, b) in enumerate(edges):
        nearest = np.zeros((height, width), np.float32)
        for start, end in zip(points[:, a], points[:, b], strict=True):
            along = end - start
            length = float(np.hypot(*along))
            if not length > 0:  # also of NaN
                continue

            # The distance of each cell to the nearest point of the line.
            share = ((grid - start) @ along / length**2).clip(0, 1)
            away = grid - start - share[..., None] * along
            near = np.exp(-(away**2).sum(axis=-1) / (2 * sigma**2))

            mine = near > nearest
            nearest[mine] = near[mine]
            fields[place, :, mine] = near[mine, None] * (along / length)
    return fields.reshape(2 * len(edges), height, width)


def paf_line_scores(
    fields: NDArray[np.float32],
    edges: NDArray[np.intp],
    starts: NDArray[np.float32],
    ends: NDArray[np.float32],
    worst: int = WORST,
) -> NDArray[np.float32]:
    """Return how well the fields (2 · edge, h, w) support m lines, 0 to about 1.

    `edges` (m,) is the edge of each line, `starts` and `ends` are (m, 2) in cells.
    Along a line, `SAMPLES` vectors are compared with its direction; the mean of the
    `worst` counts. A line over the gap between two animals gets a low value, although
    most of it lies on edges. The mean of all samples, the line integral, would be high
    there; it suits fields whose cells are nearly as large as edges are long, which fade
    towards the ends.
    """
    _, height, width = fields.shape
    along = ends - starts
    length = np.hypot(along[:, 0], along[:, 1])[:, None]

    # Vectors of the field at the samples, from the nearest cells.
    at = starts[:, None] + _SHARES * along[:, None]
    cells = np.rint(at).astype(np.intp)
    cells = np.minimum(np.maximum(cells, 0), np.array([width - 1, height - 1]))
    places = (edges[:, None] * 2 * height + cells[..., 1]) * width + cells[..., 0]
    flat = fields.reshape(-1)
    x, y = flat.take(places), flat.take(places + height * width)

    direction = along / np.maximum(length, 1e-6)
    fit = x * direction[:, :1] + y * direction[:, 1:]
    # Rounding decides the direction of a line within one cell: only lengths count.
    if (length < 1).any():
        fit = np.where(length < 1, np.hypot(x, y), fit)

    fit = np.maximum(fit, 0)
    fit.sort(axis=1)
    sums = np.add.reduce(fit[:, :worst], axis=1)
    return np.asarray(sums / np.float32(min(worst, SAMPLES)), np.float32)


_SHARES = ((np.arange(SAMPLES, dtype=np.float32) + 0.5) / SAMPLES)[:, None]
