"""Labelled poses, used as a reference for predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.numerics.pose_pca import multi_view_error, single_view_error
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.smoothing.camera_smoothing import views_by_ending


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Manually labelled poses."""

    file: Path
    bodyparts: tuple[str, ...]
    points: NDArray[np.float64]
    """(image, body part, 2), px; NaN: not labelled."""
    endings: tuple[str, ...] = ()
    """Suffixes of the body parts' names, one for each view."""
    columns: tuple[str, ...] = ()
    """Body parts of the single-view error; none: all."""

    def check(self, bodyparts: Sequence[str]) -> None:
        """Raise DeepLabStreamError where a network of `bodyparts` can't be measured."""
        try:
            self.errors(np.empty((0, len(bodyparts), 2)), bodyparts)
        except DeepLabStreamError as error:
            raise DeepLabStreamError(f"{self.file}: {error}") from error

    def errors(
        self, points: NDArray[np.floating], bodyparts: Sequence[str]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the errors (row, body part) by measure: distances from labelled poses, px.

        `points` are (row, body part, 2). DeepLabStreamError: the labels do not tell.
        """
        labels, columns = self.points_of(bodyparts), self.columns_of(bodyparts)
        found = {"pca_singleview_error": single_view_error(points, labels, columns)}
        if views := self.views_of(bodyparts):
            found["pca_multiview_error"] = multi_view_error(points, labels, views)
        return found

    def points_of(self, bodyparts: Sequence[str]) -> NDArray[np.float64]:
        """Return (image, body part, 2) in that order."""
        return self.points[:, self._places(bodyparts, self.bodyparts)]

    def columns_of(self, bodyparts: Sequence[str]) -> list[int]:
        """Return the places of the single-view body parts among `bodyparts`."""
        return self._places(self.columns or bodyparts, bodyparts)

    def views_of(self, bodyparts: Sequence[str]) -> list[list[int]]:
        """Return for each view the places of the body parts that all views have."""
        if not self.endings:
            return []
        views = views_by_ending(bodyparts, self.endings)
        return [self._places(view, bodyparts) for view in views]

    def _places(self, expected: Sequence[str], among: Sequence[str]) -> list[int]:
        missing = [name for name in expected if name not in among]
        if missing:
            raise DeepLabStreamError(
                f"the labels and the network do not share the body part {missing[0]}"
            )
        return [list(among).index(name) for name in expected]


def known_poses(
    file: Path, endings: Sequence[str] | None, columns: Sequence[str] | None
) -> Known:
    """Read a table of labels in DeepLabCut's layout; DeepLabStreamError: it is another."""
    if file.is_dir():
        file = file / "CollectedData.csv"
    poses = read_poses(file)
    parts = poses.skeleton.bodyparts
    return Known(
        file,
        parts,
        poses.points[:, 0].astype(np.float64),
        (*(endings or ()),),
        (*(columns or ()),),
    )
