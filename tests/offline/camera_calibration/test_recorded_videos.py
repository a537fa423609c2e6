import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.recorded_videos import (
    JoinedVideo,
    matched_by_exposure,
    recorded_parts,
)
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


def recorded(
    folder: Path, name: str, frames: list[int], late_ns: int = 0, lines_lost: int = 0
) -> Numbered:
    """A video of a run with these frames; others were lost."""
    lines = [
        f"{row},{frame},{frame * PERIOD_NS + late_ns},{frame * PERIOD_NS + 9_000_000},"
        for row, frame in enumerate(frames)
    ]
    text = "\n".join([HEADER, *lines[: len(lines) - lines_lost], ""])
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


def test_parts_of_a_recording_are_matched_as_one_video(tmp_path: Path) -> None:
    # right lost frame 3, so its parts end at other frames
    left = [recorded(tmp_path, "left", [0, 1, 2]), recorded(tmp_path, "left_2", [3, 4])]
    right = [recorded(tmp_path, "right", [0, 1]), recorded(tmp_path, "right_2", [2, 4])]
    joined = [JoinedVideo((left[0], left[1])), JoinedVideo((right[0], right[1]))]
    videos, by_exposure = matched_by_exposure(joined)
    assert by_exposure
    first, second = ([*video.images_at(np.arange(5))] for video in videos)
    rows = [
        [None if i.image is None else int(i.image[0, 0]) for i in s]
        for s in (first, second)
    ]
    assert rows == [[0, 1, 2, 0, 1], [0, 1, 0, None, 1]]
    assert [it.row for it in joined[0].images_at(np.array([1, 3, 4]))] == [1, 3, 4]


def test_a_part_with_frames_in_no_table_matches_nothing(tmp_path: Path) -> None:
    parts = (
        recorded(tmp_path, "left", [0, 1, 2], lines_lost=1),
        recorded(tmp_path, "left_2", [3, 4]),
    )
    right = recorded(tmp_path, "right", [0, 1, 2, 3, 4])
    assert not matched_by_exposure([JoinedVideo(parts), right])[1]
    ended = (
        recorded(tmp_path, "left", [0, 1, 2]),
        recorded(tmp_path, "left_2", [3, 4], 0, 1),
    )
    assert matched_by_exposure([JoinedVideo(ended), right])[1]


def test_the_first_part_brings_the_later_ones_of_its_camera(tmp_path: Path) -> None:
    facts = {"cameras": {"left": {}, "left_2": {}, "top": {}}}
    (tmp_path / "run.json").write_text(json.dumps(facts), "utf-8")
    for name in ("left", "left_2", "left_3", "top"):
        recorded(tmp_path, name, [0])
        (tmp_path / f"{name}.mkv").touch()

    def parts(name: str) -> list[str]:
        return [path.name for path in recorded_parts(tmp_path / name)]

    # left_2 is another camera
    assert parts("left.mkv") == ["left.mkv", "left_3.mkv"]
    assert parts("left_2.mkv") == ["left_2.mkv"]
    assert parts("left_3.mkv") == ["left_3.mkv"]
    assert parts("top.mkv") == ["top.mkv"]
    (tmp_path / "run.json").unlink()
    assert parts("left.mkv") == ["left.mkv"]
