from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.offline.uncertain_frames import (
    FrameUncertainty,
    lack_of_confidence,
    of_run,
    of_video,
    uncertainty,
)
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.programs import pick_frames
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    disagreement,
)
from deeplabstream.video.video_reader import VideoReader, open_video
from tests.offline.films import dot_at, write_film
from tests.offline.scenes import film
from utils.PickFrames import main

GOLDEN = Path(__file__).parents[1] / "golden"


def walked(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of two parts that go 2 px a frame, and full confidence."""
    x = np.arange(frames)[:, None] * 2.0 + [0, 30]
    return np.stack([x, x], axis=2), np.ones((frames, 2))


def test_a_sure_and_steady_network_leaves_no_doubt() -> None:
    points, sure = walked(20)
    assert uncertainty(points, sure, np.arange(20)).tolist() == [0.0] * 20


def test_the_frame_of_a_jump_is_doubted_more_than_its_neighbours() -> None:
    points, sure = walked(20)
    points[7, 1] += 200
    found = uncertainty(points, sure, np.arange(20))
    assert found.argmax() == 7
    assert found[6] == found[8] == found[7] / 2
    assert not found[[5, 9]].any()


def test_frames_that_are_no_neighbours_do_not_jump() -> None:
    points, sure = walked(20)
    rows = np.r_[0:10, 500:510]
    points[10:] += 900
    assert not uncertainty(points, sure, rows).any()


def test_a_lack_of_confidence_is_doubt_and_nan_is_no_confidence() -> None:
    points, sure = walked(20)
    sure[3] = 0.2
    sure[5, 0] = np.nan
    found = uncertainty(points, sure, np.arange(20))
    assert found[3] == pytest.approx(0.8)
    assert found[5] == pytest.approx(0.5)


class _Dotty:
    """Finds the dot of `dotted`, but says of some frames that it is not sure."""

    skeleton = Skeleton(("dot",))
    threshold, provider, sha256 = 0.5, "none", ""

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        poses = []
        for image in images:
            y, x = (float(each.mean()) for each in (image[..., 0] > 130).nonzero())
            sure = 0.1 if x < 12 else 1.0
            points = np.array([[[x, y]]], np.float32)
            poses.append(Pose(self.skeleton, points, np.array([[sure]], np.float32)))
        return poses


def test_a_network_looks_at_a_video(tmp_path: Path) -> None:
    rows = open_video(write_film(tmp_path / "dots.mkv", frames=100, codec="ffv1"))
    found = of_video(rows, _Dotty())
    assert len(found.rows) == 100
    unsure = [row for row in range(100) if dot_at(row)[0] < 12]
    assert set(np.argsort(-found.uncertainty)[: len(unsure)].tolist()) == set(unsure)


def scenes(path: Path) -> VideoReader:
    """Write 60 frames: five scenes of 12, a bright block in another place in each."""
    return open_video(film(path / "scenes.mkv"))


def test_one_of_the_uncertain_frames_that_look_alike_is_picked(tmp_path: Path) -> None:
    rows, doubt = scenes(tmp_path), np.zeros(60)
    doubt[0:12], doubt[24:36] = 0.9, 0.5  # two scenes; in the others it is certain
    found = FrameUncertainty(rows.path, np.arange(60), doubt, doubt)
    none = np.array([], np.int64)
    first, second = found.pick(rows, 2, none).tolist()
    assert first < 12
    assert 24 <= second < 36, "and not another frame of the first scene"
    assert found.pick(rows, 2, none).tolist() == [first, second], "the same each time"
    assert len(found.pick(rows, 100, none)) == 60, "there are no more"


def test_what_looks_like_a_labelled_frame_is_not_picked(tmp_path: Path) -> None:
    rows, doubt = scenes(tmp_path), np.zeros(60)
    doubt[0:12], doubt[24:36] = 0.9, 0.5
    found = FrameUncertainty(rows.path, np.arange(60), doubt, doubt)
    (picked,) = found.pick(rows, 1, np.array([3]))
    assert 24 <= picked < 36
    assert 3 not in found.pick(rows, 100, np.array([3]))


def test_of_a_network_that_is_mostly_uncertain_frames_that_differ_are_picked(
    tmp_path: Path,
) -> None:
    """Its uncertainty says little: the scenes count alike, as without a network."""
    rows, doubt = scenes(tmp_path), np.full(60, 0.55)
    doubt[0:24] = 0.9, 0.8, *[0.7] * 22
    found = FrameUncertainty(rows.path, np.arange(60), doubt, doubt)
    assert found.mostly_uncertain
    none = np.array([], np.int64)
    assert sorted(found.pick(rows, 5, none) // 12) == [0, 1, 2, 3, 4]
    same = FrameUncertainty(rows.path, np.arange(60), *np.zeros((2, 60)))
    assert not same.mostly_uncertain
    assert found.pick(rows, 8, none).tolist() == same.pick(rows, 8, none).tolist()


def test_places_for_animals_that_are_absent_are_no_lack_of_confidence() -> None:
    points = np.full((5, 3, 2, 2), np.nan)
    confidence = np.full((5, 3, 2), np.nan)
    points[:4, 1], confidence[:4, 1] = 7, 0.98  # one animal of three
    points[2, 0, 0], confidence[2, 0, 0] = 9, 0.5  # half of another one
    lack = lack_of_confidence(points, confidence)
    assert lack == pytest.approx([0.02, 0.02, 1 - (0.98 + 0.25) / 2, 0.02, 1.0])
    doubt = uncertainty(points.reshape(5, 6, 2), confidence.reshape(5, 6), np.arange(5))
    found = FrameUncertainty(Path("x"), np.arange(5), doubt, lack)
    assert np.median(doubt) > 0.5
    assert not found.mostly_uncertain


class _Lost(_Dotty):
    """Finds the dot, and is never certain of it."""

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        poses = super().estimate(images)
        for pose in poses:
            pose.confidence[:] = 0.3
        return poses


def test_the_program_says_that_a_network_is_mostly_uncertain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_film(tmp_path / "dots.mkv", frames=40)
    monkeypatch.setattr(pick_frames, "open_estimator", lambda name: _Lost())
    words = ["--into", str(tmp_path / "labels"), "--count", "3"]
    assert main([str(video), *words, "--model", "any", "--unsure"]) == 0
    told = capsys.readouterr().out
    assert "uncertain in most frames of dots.mkv: frames that differ are picked" in told


def test_of_a_long_run_frames_of_all_its_parts_are_compared(tmp_path: Path) -> None:
    rows = scenes(tmp_path)
    doubt = np.linspace(0, 1, 60)
    found = FrameUncertainty(rows.path, np.arange(60), doubt, doubt)
    compared = found.compared(10)
    assert compared.tolist() == list(range(5, 60, 6)), "the most uncertain of each part"
    assert found.compared(100).tolist() == list(range(60))


class _Other(_Dotty):
    """Finds the dot elsewhere where it is at the right."""

    sha256 = "other"

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        poses = super().estimate(images)
        for pose in poses:
            pose.confidence[:] = 1.0
            pose.points[..., 1] += 20 * (pose.points[..., 0] > 50)
        return poses


def test_frames_in_which_networks_differ_come_before_unsure_ones(
    tmp_path: Path,
) -> None:
    rows = open_video(write_film(tmp_path / "dots.mkv", frames=100, codec="ffv1"))
    found = of_video(rows, NetworkEnsemble([_Dotty(), _Other()], tmp_path))
    assert found.apart_px is not None
    apart = [row for row in range(100) if dot_at(row)[0] > 50]
    assert set(np.flatnonzero(found.apart_px > 9.9)) == set(apart)
    picked = found.pick(rows, 5, np.array([], np.int64))
    assert set(picked.tolist()) <= set(apart)


def test_a_point_that_one_network_alone_finds_is_an_animals_length_apart() -> None:
    points = np.array([[[0, 0], [30, 40]], [[5, 0], [35, 40]]], np.float32)
    lacking = points.copy()
    lacking[1, 1] = np.nan
    sure = np.ones((2, 2), np.float32)
    each = [
        ImagePredictions(("a", "b"), ("0", "1"), own, sure) for own in (points, lacking)
    ]
    assert disagreement(each).tolist() == [0, 25]
    lacking[1, 0] = points[1] = np.nan
    assert disagreement(each).tolist() == [0, 0], "nobody finds anything"


def test_a_video_without_a_network_is_asked_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_film(tmp_path / "dots.mkv")
    assert main([str(video), "--into", str(tmp_path), "--unsure"]) == 2
    assert "--unsure: choose a network" in capsys.readouterr().err


def test_a_run_without_videos_is_a_sentence() -> None:
    with pytest.raises(DeepLabStreamError, match="contains no video with poses"):
        list(of_run(next(GOLDEN.glob("runs/*/run.json")).parent))
