from pathlib import Path

import cv2
import numpy as np

from core.frame import ImageFormat
from offline.decoding import video_rows
from offline.picking import pick
from recording.video import VideoFile
from utils.PickFrames import main

FORM = ImageFormat((48, 64), 25.0)


def film(path: Path) -> Path:
    """Write 60 frames: five scenes of 12, a bright block in another place in each."""
    with VideoFile(path, FORM) as video:
        for frame in range(60):
            image = np.full(FORM.shape, 30, np.uint8)
            left = 12 * (frame // 12)
            image[10:40, left : left + 12] = 220
            video.write(image, frame, frame * 40_000_000, frame * 40_000_000 + 1)
    return path


def test_one_frame_of_each_scene_is_picked(tmp_path: Path) -> None:
    rows = video_rows(film(tmp_path / "scenes.mkv"))
    picked = pick(rows, 5)
    assert sorted(picked // 12) == [0, 1, 2, 3, 4]
    assert pick(rows, 5).tolist() == picked.tolist(), "the same seed, the same frames"
    assert pick(rows, 100).tolist() == list(range(60)), "there are no more"


def test_the_program_writes_pictures_once(tmp_path: Path) -> None:
    video = film(tmp_path / "scenes.mkv")
    asked = [str(video), "--into", str(tmp_path / "labels"), "--count", "5"]
    assert main(asked) == 0
    files = sorted((tmp_path / "labels/labeled-data/scenes").glob("*.png"))
    assert len(files) == 5
    image = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape[:2] == (48, 64)
    before = [file.stat().st_mtime_ns for file in files]
    assert main(asked) == 0, "five more"
    assert len(list(files[0].parent.glob("*.png"))) == 10
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_video_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    assert main([str(tmp_path / "no.mp4"), "--into", str(tmp_path)]) == 2
