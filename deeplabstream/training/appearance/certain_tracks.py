"""Certain tracks: stretches of a recording in which one animal surely stays the same.

Frames of one track show the same animal; tracks that coexist show different ones. The
relation of two tracks of different times, or of different recordings, is not known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import AMBIGUOUS
from deeplabstream.pose.tracking.aligned_crops import SIZE, BodyAxis, clear_crops
from deeplabstream.pose.tracking.embedding_evidence import BURST
from deeplabstream.pose.tracking.identity_ambiguity import RENAMED, TIMED_OUT
from deeplabstream.recording.pose_table import PoseTable

NO_TRACK = -1
_ROUNDING = 0.01
_ENDS = (RENAMED, TIMED_OUT, "swapped")
"""Flags of frames from which on a name may be another animal's than before."""


def certain_tracks(table: PoseTable) -> NDArray[np.int64]:
    """Return the track (frame, animal) of each animal; `NO_TRACK`: its identity is not certain.

    A track has one name. Ambiguous frames are left out of it. Where an ambiguity ended
    without evidence (`BELIEVE_AFTER_S`), or a name went to another animal without one, a new
    track begins. A table without identity states has one track for each name.
    """
    count = table.points.shape[1]
    states = [tuple(state) or ("",) * count for state in table.identity]
    if not states:
        states = [("",) * count] * len(table)

    tracks = np.full((len(table), count), NO_TRACK)
    current, used = list(range(count)), count
    doubted = [False] * count
    for row, words in enumerate(states):
        for animal, word in enumerate(words):
            ambiguous = word.startswith(AMBIGUOUS)
            end = word.rpartition("+")[2]
            # After an ambiguity that appearance resolved, the name is the animal's again
            resolved = end == RENAMED and doubted[animal]
            if end in _ENDS and not resolved:
                current[animal], used = used, used + 1
            doubted[animal] = ambiguous
            if not ambiguous:
                tracks[row, animal] = current[animal]
    return tracks


@dataclass(frozen=True, slots=True, eq=False)
class CropSet:
    """Crops of the certain tracks of one recording."""

    crops: NDArray[np.uint8]
    """(crop, height, width, 3), BGR."""
    tracks: NDArray[np.int64]
    """(crop,): the track that each shows, from 0 on."""
    times_s: NDArray[np.float64]
    """(crop,): growing."""
    bursts: NDArray[np.int64]
    """(crop,): the burst of successive frames that it is in."""
    different: NDArray[np.bool_]
    """(track, track): whether they coexist, so that they are different animals."""
    names: tuple[str, ...]
    """Name of the animal of each track."""

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def duration_s(self) -> float:
        """Time from the first crop to the last."""
        return float(np.ptp(self.times_s)) if len(self) else 0.0


class CropCollector:
    """Collects the crops of one recording, frame by frame."""

    def __init__(self, table: PoseTable, threshold: float, axis: BodyAxis) -> None:
        self._points = table.seen(threshold).astype(np.float64)
        self._tracks = certain_tracks(table)
        self._table, self._axis = table, axis
        self._bursts = np.full(len(table), -1)
        """(row,): the burst that it is in; -1: none."""
        self._found: list[tuple[NDArray[np.uint8], int, int]] = []
        """Crop, track and row."""

    def rows(self, every_s: float, most: int) -> NDArray[np.int64]:
        """Return the rows to add: bursts of `BURST` rows in which two animals are certain.

        The live evidence is of as many successive frames, so it has to be tried on these:
        views that are farther apart differ more, and their mean says more. Bursts
        begin `every_s` apart, or farther, so that there are at most `most` rows.
        """
        times_s = self._table.times_s
        there = np.isfinite(self._points[..., 0]).any(axis=2) & (self._tracks >= 0)
        usable = (there.sum(axis=1) > 1) & np.isfinite(times_s)
        rows = np.flatnonzero(usable)
        if not len(rows):
            return rows
        frame_s = float(np.median(np.diff(times_s[rows]))) if len(rows) > 1 else 0.0
        fewest_s = float(np.ptp(times_s[rows])) * BURST / most
        spacing_s = max(every_s, BURST * frame_s, fewest_s)

        # Times of frames are rounded: those that are just `spacing_s` apart count
        slots = (times_s[rows] - times_s[rows[0]]) / spacing_s + _ROUNDING
        begins = rows[np.unique(slots.astype(np.int64), return_index=True)[1]]
        for burst, begin in enumerate(begins.tolist()):
            self._bursts[begin : begin + BURST] = burst
        return np.flatnonzero((self._bursts >= 0) & usable)

    def add(self, row: int, image: Image) -> None:
        """Add the crops of one frame."""
        crops = clear_crops(image, self._points[row], self._table.skeleton, self._axis)
        for animal, pixels in crops.items():
            if (track := int(self._tracks[row, animal])) != NO_TRACK:
                self._found.append((pixels, track, row))

    def crop_set(self) -> CropSet:
        """Return all crops; tracks without one are left out."""
        if not self._found:
            nothing = np.zeros(0, np.int64)
            pixels = np.zeros((0, *SIZE, 3), np.uint8)
            none = np.zeros((0, 0), bool)
            return CropSet(pixels, nothing, np.zeros(0), nothing, none, ())
        shown = np.array([track for _, track, _ in self._found], np.int64)
        rows = np.array([row for _, _, row in self._found], np.int64)
        used, tracks = np.unique(shown, return_inverse=True)
        there = np.stack(
            [(self._tracks == track).any(axis=1) for track in used], axis=1
        )
        together = there.T.astype(np.int64) @ there.astype(np.int64) > 0
        names = [
            self._table.animals[int(np.argmax((self._tracks == track).any(axis=0)))]
            for track in used
        ]
        return CropSet(
            np.stack([pixels for pixels, _, _ in self._found]),
            tracks,
            self._table.times_s[rows],
            self._bursts[rows],
            together & ~np.eye(len(used), dtype=bool),
            tuple(names),
        )
