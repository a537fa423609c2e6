"""Cameras calibrated from rendered and from real images of a board."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deeplabstream.recording.calibrations.calibration_file import (
    WRITERS,
    read_calibration,
)
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import angle_between
from tests.offline.camera_calibration.boards import render
from tests.space.cameras import four_cameras, without_distortion
from utils.CalibrateCameras import main

DATA = Path(__file__).resolve().parents[3] / "shared/data"
BOARD_WORDS = ["--board", "7x5", "--square-mm", "30"]
CAMERAS = without_distortion(four_cameras()).select(["left", "right", "front"])


def differences(found: CameraGroup, true: CameraGroup) -> tuple[float, float]:
    """Largest difference of positions relative to the first camera: degrees and mm."""
    degrees, lengths = [], []
    first, own_first = true.cameras[0], found.cameras[0]
    for one, other in zip(found.cameras, true.cameras, strict=True):
        turned = other.rotation @ first.rotation.T
        place = first.in_axes(other.centre)
        degrees.append(angle_between(one.rotation @ own_first.rotation.T, turned))
        lengths.append(np.linalg.norm(own_first.in_axes(one.centre) - place))
    return max(degrees), float(max(lengths))


def aligned_differences(found: CameraGroup, true: CameraGroup) -> tuple[float, float]:
    """Largest difference of poses in degrees and mm, after the best fit of their axes."""
    pairs = [*zip(found.cameras, true.cameras, strict=True)]
    turns = [one.rotation.T @ other.rotation for one, other in pairs]
    turn = Rotation.from_matrix(turns).mean().as_matrix()
    degrees = [angle_between(one.rotation @ turn, it.rotation) for one, it in pairs]
    places, others = found.centres @ turn, true.centres
    away = (places - places.mean(axis=0)) - (others - others.mean(axis=0))
    return max(degrees), float(np.linalg.norm(away, axis=1).max())


def test_what_can_not_be_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        assert main([*words, "--output", str(tmp_path / "c.toml")]) == 2
        return capsys.readouterr().err

    two = ["a.mp4", "b.mp4"]
    assert "expected the numbers of squares" in refused(
        *two, "--board", "7", *BOARD_WORDS[2:]
    )
    assert "would be called a" in refused("x/a.mp4", "y/a.mp4", *BOARD_WORDS)
    assert "2 names for 3 videos" in refused(
        *two, "c.mp4", *BOARD_WORDS, "--names", "a", "b"
    )
    told = refused(*two, *BOARD_WORDS, "--width-mm", "203")
    assert "board size: 7 squares of 30 mm are 210 mm, and --width-mm is 203" in told
    assert main([*two, *BOARD_WORDS, "--output", str(tmp_path / "c.yaml")]) == 2
    assert "name a file that ends with .toml" in capsys.readouterr().err


@pytest.fixture(scope="module")
def engine() -> None:
    pytest.importorskip("caliscope", reason="it calibrates the cameras")


@pytest.fixture(scope="module")
def images(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    render(CAMERAS, folder, 60)
    return folder


def folders(images: Path, names: Sequence[str] = CAMERAS.names) -> list[str]:
    return [str(images / name) for name in names]


def test_rendered_cameras_are_found_with_their_errors(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calibration.toml"
    words = [*folders(images), *BOARD_WORDS, "--output", str(file)]
    assert main([*words, "--floor", "0", "--width-mm", "210.4"]) == 0
    found = read_calibration(file)
    degrees, mm = differences(found, CAMERAS)
    assert degrees < 0.6
    assert mm < 10
    for camera in found.cameras:
        assert abs(camera.matrix[0, 0] / 800 - 1) < 0.01
        assert camera.size == (480, 640)

    # The first image has the board on the floor, its corner at the origin.
    np.testing.assert_allclose(found.centres, CAMERAS.centres, atol=4)
    facts = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert facts["kept_back"]["corner_mm"]["p50"] < 0.5
    assert facts["coverage"]["cameras"]["left"]["covered_share"] > 0.5
    assert facts["coverage"]["pairs"][0]["cameras"] == ["left", "right"]
    for name in ("worst", "coverage"):
        image = cv2.imread(str(tmp_path / f"calibration.{name}.png"))
        assert image.shape == (480, 1920, 3)
    told = capsys.readouterr().out
    assert "kept-back moments" in told
    assert "moments that two cameras share: left and right" in told
    assert "left-out error: left" in told

    assert main(words) == 2
    assert "calibration.toml already exists" in capsys.readouterr().err


def test_known_lenses_are_kept(images: Path, tmp_path: Path) -> None:
    lenses, file = tmp_path / "lenses.toml", tmp_path / "calibration.toml"
    WRITERS["aniposelib"](CAMERAS, lenses)
    words = [*folders(images), *BOARD_WORDS, "--output", str(file)]
    assert main([*words, "--lenses", str(lenses)]) == 0
    found = read_calibration(file)
    assert found.cameras[1].matrix.tolist() == CAMERAS.cameras[1].matrix.tolist()
    degrees, mm = differences(found, CAMERAS)
    assert degrees < 0.1
    assert mm < 1.5


def test_videos_of_different_moments_are_refused_and_nothing_is_written(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = tmp_path / "late"
    late.mkdir()
    for number in range(60):
        source = images / "right" / f"{(number + 17) % 60}.png"
        (late / f"{number}.png").write_bytes(source.read_bytes())
    lenses, file = tmp_path / "lenses.toml", tmp_path / "calibration.toml"
    WRITERS["aniposelib"](CAMERAS, lenses)
    given = [*folders(images, ["left"]), str(late)]
    words = ["--names", "left", "right", "--lenses", str(lenses)]
    assert main([*given, *BOARD_WORDS, *words, "--output", str(file)]) == 1
    assert "refused and was not written" in capsys.readouterr().err
    assert not file.exists()

    # What was measured, and the worst moment, show why.
    facts = json.loads((tmp_path / "calibration.refused.json").read_text("utf-8"))
    assert facts["refused"]
    assert facts["coverage"]["cameras"]["left"]["frames"] > 30
    worst = cv2.imread(str(tmp_path / "calibration.refused.worst.png"))
    assert worst.shape == (480, 1280, 3)


def test_a_short_recording_is_refused_with_the_reason(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "left"
    short.mkdir()
    for number in range(9):
        source = images / "left" / f"{number}.png"
        (short / source.name).write_bytes(source.read_bytes())
    given = [str(short), *folders(images, ["right"])]
    file = tmp_path / "calibration.toml"
    assert main([*given, *BOARD_WORDS, "--output", str(file)]) == 1
    told = capsys.readouterr().err
    assert "The calibration is refused and was not written" in told
    assert "too few views: left sees" in told
    assert "of its image" in told
    assert not file.exists()
    assert (tmp_path / "calibration.coverage.png").is_file()


def test_a_known_calibration_is_moved_to_the_floor(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, file = tmp_path / "known.toml", tmp_path / "floor.toml"
    first = CAMERAS.cameras[0]
    moved = CameraGroup(
        tuple(
            replace(
                camera,
                rotation=camera.rotation @ first.rotation.T,
                translation=camera.translation
                - camera.rotation @ first.rotation.T @ first.translation,
            )
            for camera in CAMERAS.cameras
        )
    )
    WRITERS["aniposelib"](moved, known)
    words = [*folders(images), *BOARD_WORDS, "--output", str(file)]
    assert main([*words, "--known", str(known), "--floor", "0"]) == 0
    found = read_calibration(file)
    np.testing.assert_allclose(found.centres, CAMERAS.centres, atol=4)
    assert "heights of the cameras above the floor in mm" in capsys.readouterr().out

    below = [*words, "--known", str(known), "--floor", "0", "--from-below"]
    assert main([*below, "--overwrite"]) == 0
    assert (read_calibration(file).centres[:, 2] < 0).all()
    capsys.readouterr()
    assert main([*words, "--overwrite", "--known", str(known), "--floor", "900"]) == 2
    assert "there is no frame 900: the last one of all videos is 59" in (
        capsys.readouterr().err
    )
    assert main([*words, "--overwrite", "--known", str(known)]) == 2
    assert "name the frame with the board by --floor" in capsys.readouterr().err


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")
def test_real_webcams_are_calibrated_as_their_owner_did(
    engine: None, tmp_path: Path
) -> None:
    folder, file = DATA / "3d-charuco/post_optimization", tmp_path / "c.toml"
    videos = sorted((folder / "calibration/extrinsic").glob("*.mp4"))
    words = ["--board", "4x5", "--square-mm", "54", "--output", str(file)]
    lenses = ["--lenses", str(folder / "camera_array.toml")]
    assert main([*map(str, videos), *words, *lenses]) == 0
    stored = read_calibration(folder / "camera_array.toml")
    # 0.15° and 4.9 mm; relative to the first camera, whose own error then counts twice, 0.30°
    degrees, mm = aligned_differences(read_calibration(file), stored)
    assert degrees < 0.3
    assert mm < 8

    # 57 frames of a small board do not determine the lenses.
    again = [*words[:-1], str(tmp_path / "d.toml")]
    assert main([*map(str, videos), *again]) == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")
def test_real_images_give_the_calibration_that_was_lost(
    engine: None, tmp_path: Path
) -> None:
    """Its file has two cameras with the same values; see test_triangulate_poses."""
    folder, file = DATA / "3d-mouse-video/minimal_session", tmp_path / "c.toml"
    names = ["back", "mid", "side", "top"]
    images = [str(folder / name / "calibration_images") for name in names]
    words = ["--names", *names, "--board", "8x11", "--square-mm", "24"]
    more = ["--marker-share", "0.78", "--output", str(file)]
    assert main([*images, *words, *more]) == 0
    facts = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert facts["kept_back"]["corner_mm"]["p50"] < 0.4
