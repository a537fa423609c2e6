"""Left-out errors: how far each camera of [Space] is from the point that the others give."""

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.journal_entries import Step

_MOMENTS = 60


class LeftOutErrors:
    """Median error of each camera in the last 60 moments for which it was computed."""

    def __init__(self) -> None:
        self._moments: deque[tuple[tuple[str, ...], NDArray[np.floating]]] = deque(
            maxlen=_MOMENTS
        )

    def clear(self) -> None:
        """Discard all moments."""
        self._moments.clear()

    def add(self, steps: Iterable[Step]) -> None:
        """Add the moments that end with steps."""
        for step in steps:
            if step.space is not None and np.isfinite(step.space.left_out_px).any():
                self._moments.append((step.space.cameras, step.space.left_out_px))

    @property
    def medians_px(self) -> dict[str, float | None]:
        """Error of each camera in px; None: not known, as for one of two cameras.

        Empty: there are no points in space.
        """
        if not self._moments:
            return {}
        cameras, _ = self._moments[-1]
        values = np.concatenate([px for _, px in self._moments], axis=1)
        medians = (
            float(np.median(known)) if len(known := row[np.isfinite(row)]) else None
            for row in values
        )
        return dict(zip(cameras, medians, strict=True))
