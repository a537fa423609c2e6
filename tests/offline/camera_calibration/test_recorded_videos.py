from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.recorded_videos import matched_by_exposure
from deeplabstream.video.video_reader import VideoImage

PERIOD_NS = 33_000_000
HEADER = "video_frame,frame,exposed_ns,arrived_ns,device_id"


@dataclass(frozen=True)
class Numbered:
    """A video whose images are their numbers."""

    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        for row in requested.tolist():
            yield VideoImage(row, 0, np.full((2, 2), row, np.uint8))


def recorded(folder: Path, name: str, frames: list[int], late_ns: int = 0) -> Numbered:
    """A video of a run with these frames; others were lost."""
    lines = [
        f"{row},{frame},{frame * PERIOD_NS + late_ns},{frame * PERIOD_NS + 9_000_000},"
        for row, frame in enumerate(frames)
    ]
    text = "\n".join([HEADER, *lines, ""])
    (folder / f"{name}.frames.csv").write_text(text, "utf-8")
    return Numbered(folder / f"{name}.mkv", len(frames))


def test_frames_of_a_run_are_matched_although_one_was_lost(tmp_path: Path) -> None:
    left = recorded(tmp_path, "left", [0, 1, 2, 3, 4, 5])
    right = recorded(tmp_path, "right", [0, 1, 3, 4, 5], late_ns=2_000_000)
    videos, by_exposure = matched_by_exposure([left, right])
    assert by_exposure
    assert [len(video) for video in videos] == [6, 6]
    wanted = np.array([1, 2, 3, 5])
    first, second = (list(video.images_at(wanted)) for video in videos)
    assert [int(it.image[0, 0]) for it in first if it.image is not None] == [1, 2, 3, 5]
    assert [None if it.image is None else int(it.image[0, 0]) for it in second] == [
        1,
        None,
        2,
        4,
    ]


def test_other_videos_keep_their_numbers(tmp_path: Path) -> None:
    left = recorded(tmp_path, "left", [0, 1, 2])
    other = Numbered(tmp_path / "other.mp4", 3)
    assert matched_by_exposure([left, other]) == ([left, other], False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    right = recorded(elsewhere, "right", [0, 1, 2])
    assert matched_by_exposure([left, right]) == ([left, right], False)


def test_a_table_with_a_line_missing_matches_nothing(tmp_path: Path) -> None:
    left, right = (recorded(tmp_path, name, [0, 1, 2]) for name in ("left", "right"))
    file = tmp_path / "right.frames.csv"
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join([lines[0], lines[1], lines[3], ""]), "utf-8")
    assert matched_by_exposure([left, right]) == ([left, right], False)
