"""Points in space from files and from runs whose every point is known."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Pulsed, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.calibrations.calibration_file import WRITERS
from deeplabstream.recording.exporters.pose_files import write_dlc_csv
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.space.camera_group import CameraGroup
from tests.recording.recorded import STARTED
from tests.space.cameras import four_cameras, points_in_arena
from utils.TriangulatePoses import main

DATA = Path(__file__).resolve().parents[3] / "shared/data"
SKELETON = Skeleton(("snout", "tail"))
FRAMES = 40
START_NS = 1_000_000_000
PERIOD_NS = 33_333_333
POINTS = points_in_arena(2 * FRAMES).reshape(FRAMES, 2, 3)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    file = tmp_path / "calibration.toml"
    WRITERS["aniposelib"](four_cameras(), file)
    return file


def table(pixels: NDArray[np.float64], skeleton: Skeleton = SKELETON) -> PoseTable:
    """Poses (frame, body part, 2) of one animal."""
    sure = np.where(np.isfinite(pixels[..., 0]), 0.9, 0.0)
    made = pose_table(Path("poses.csv"), skeleton, pixels[:, None], sure[:, None])
    return replace(made, scorer="network")


def files(folder: Path, pixels: NDArray[np.float64] | None = None) -> dict[str, Path]:
    cameras = four_cameras()
    pixels = cameras.project(POINTS) if pixels is None else pixels
    made = {name: folder / f"day1_{name}DLC.csv" for name in cameras.names}
    for file, own in zip(made.values(), pixels, strict=True):
        write_dlc_csv(table(own), file)
    return made


def rows_of(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(file.read_text("utf-8").splitlines())]


def points_of(rows: list[dict[str, str]], end: str = "_mm") -> NDArray[np.float64]:
    """Points (moment, body part, 3) of a table; NaN: the cell is empty."""
    return np.array(
        [
            [[float(row[f"{part}_{axis}{end}"] or "nan") for axis in "xyz"]
             for part in SKELETON.bodyparts]
            for row in rows
        ]
    )  # fmt: skip


def test_files_of_four_cameras_give_points_with_errors(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = four_cameras().project(POINTS)
    pixels[0, 3, 0] += 90  # rejected
    pixels[1:, 5, 1] = np.nan  # seen by one camera
    words = [str(file) for file in files(tmp_path, pixels).values()]
    assert main([str(calibration), *words, "--fps", "10"]) == 0

    rows = rows_of(tmp_path / "poses3d.csv")
    found = points_of(rows)
    assert np.isnan(found[5, 1]).all()
    found[5, 1] = POINTS[5, 1]
    np.testing.assert_allclose(found, POINTS, atol=1e-3)
    assert [row["frame"] for row in rows[:2]] == ["0", "1"]
    assert rows[3]["time_s"] == "0.300000"
    assert (rows[3]["snout_views"], rows[4]["snout_views"]) == ("3", "4")
    assert rows[5]["tail_error_mm"] == rows[5]["tail_confidence"] == ""
    assert 0.1 < float(rows[0]["snout_error_mm"]) < 2

    told = capsys.readouterr().out
    assert "40 moments, matched by frame numbers" in told
    assert "79 of 80 points (98.8%) are known" in told
    facts = json.loads((tmp_path / "poses3d.json").read_text("utf-8"))
    assert facts["cameras"]["left"]["seen"] - facts["cameras"]["left"]["used"] == 2
    assert facts["known"] == 79


def test_movement_reads_the_table_of_anipose(tmp_path: Path, calibration: Path) -> None:
    load_poses = pytest.importorskip("movement.io.load_poses")
    words = [str(file) for file in files(tmp_path).values()]
    assert main([str(calibration), *words]) == 0
    read = load_poses.from_anipose_file(tmp_path / "poses3d.anipose.csv")
    snout = read.position.sel(keypoints="snout", individuals="id_0")
    np.testing.assert_allclose(
        snout.transpose("time", "space").values, POINTS[:, 0], atol=1e-3
    )
    assert float(read.confidence.mean()) == pytest.approx(0.9)


def test_cameras_can_be_named_in_the_order_of_the_files(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = files(tmp_path)
    one, other = tmp_path / "a.csv", tmp_path / "b.csv"
    made["back"].rename(one)
    made["left"].rename(other)
    words = [str(calibration), str(one), str(other)]
    assert main(words) == 2
    assert "a.csv: the name does not contain" in capsys.readouterr().err
    assert main([*words, "--cameras", "back"]) == 2
    assert "names 1 camera for 2 files" in capsys.readouterr().err
    assert main([*words, "--cameras", "back", "left"]) == 0
    np.testing.assert_allclose(
        points_of(rows_of(tmp_path / "poses3d.csv")), POINTS, atol=1e-3
    )


def test_swapped_files_do_not_fit_the_calibration_and_nothing_is_written(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = files(tmp_path)
    words = [str(made[name]) for name in ("left", "right", "front", "back")]
    named = ["--cameras", "left", "right", "back", "front"]
    assert main([str(calibration), *words, *named]) == 2
    told = capsys.readouterr().err
    assert "do not fit" in told
    assert "Median distance of the rays of two cameras" in told
    assert not (tmp_path / "poses3d.csv").exists()


def test_a_camera_whose_calibration_is_wrong_is_named(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = four_cameras()
    turned = replace(cameras.camera("front"), name="right")
    others = [cameras.camera(name) for name in ("left", "front", "back")]
    moved = replace(turned, translation=turned.translation + np.array([40.0, 0, 0]))
    WRITERS["aniposelib"](CameraGroup((*others, moved)), calibration)
    words = [str(file) for file in files(tmp_path).values()]
    assert main([str(calibration), *words]) == 2
    told = capsys.readouterr().err
    assert "points of the camera right do not fit its calibration" in told
    assert "--cameras left front back" in told


def test_images_of_another_size_are_noticed(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = four_cameras().project(POINTS)
    pixels[2] *= 2
    words = [str(file) for file in files(tmp_path, pixels).values()]
    assert main([str(calibration), *words]) == 2
    told = capsys.readouterr().err
    assert "camera front was calibrated with images of 640 × 480 px" in told
    assert "of its points lie outside" in told


def test_an_animal_of_several_must_be_named(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = four_cameras().project(POINTS)
    skeleton = replace(SKELETON, animals=("anna", "bob"))
    words = []
    for name, own in zip(four_cameras().names, pixels, strict=True):
        both = np.stack([own + 50, own], axis=1)
        sure = np.full(both.shape[:-1], 0.9)
        file = tmp_path / f"{name}.csv"
        write_dlc_csv(pose_table(file, skeleton, both, sure, "network"), file)
        words.append(str(file))
    assert main([str(calibration), *words]) == 2
    assert "has the animals anna, bob: choose one with --animal" in (
        capsys.readouterr().err
    )
    assert main([str(calibration), *words, "--animal", "bob"]) == 0
    np.testing.assert_allclose(
        points_of(rows_of(tmp_path / "poses3d.csv")), POINTS, atol=1e-3
    )


def test_points_below_the_threshold_do_not_count(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(file) for file in files(tmp_path).values()]
    assert main([str(calibration), *words, "--threshold", "0.95"]) == 2
    assert "no point is seen by two cameras" in capsys.readouterr().err


def test_files_that_exist_are_kept_unless_overwrite_is_given(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(calibration), *map(str, files(tmp_path).values())]
    (tmp_path / "poses3d.anipose.csv").write_text("theirs")
    assert main(words) == 2
    assert "poses3d.anipose.csv already exists" in capsys.readouterr().err
    assert not (tmp_path / "poses3d.csv").exists()
    assert main([*words, "--overwrite"]) == 0
    assert main([*words, "--output", str(tmp_path / "other.txt")]) == 2
    assert "name a file that ends with .csv" in capsys.readouterr().err


def test_files_of_different_lengths_are_matched_by_number_and_reported(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = files(tmp_path)
    write_dlc_csv(table(four_cameras().project(POINTS)[1][:30]), made["right"])
    assert main([str(calibration), *map(str, made.values())]) == 0
    assert "the files have 30 to 40 frames" in capsys.readouterr().out
    rows = rows_of(tmp_path / "poses3d.csv")
    assert [rows[29]["snout_views"], rows[30]["snout_views"]] == ["4", "3"]


LOST: Mapping[str, set[int]] = {"left": {4, 5}, "right": {11}, "front": set()}
LATE_NS = {"left": 0, "right": 3_000_000, "front": 9_000_000}


def record(folder: Path, pulses: bool = False) -> Path:
    """A run of three cameras that lose frames; frames are counted as they arrive."""
    cameras = four_cameras().select([*LOST])
    pixels = cameras.project(POINTS)
    form = ImageFormat((480, 640), 30.0)
    words = {"cameras": [*LOST], "generates": True, "most_delay_ms": 30.0}
    more = {"pulse_inputs": {"trigger": words}} if pulses else {}
    facts = RunFacts(
        START_NS,
        dict.fromkeys(LOST, form),
        SKELETON,
        ModelFacts("arena", "0" * 64, 0.5, "CPUExecutionProvider"),
        more,
    )
    run = RunFolder.create_at(folder, STARTED, "", facts)
    with RunWriter(run, START_NS) as writer:
        for number in range(FRAMES if pulses else 0):
            at = START_NS + 10**9 + number * PERIOD_NS
            writer.entry(Pulsed("trigger", number, at, at + 400_000, at // 1000))
        for name, own in zip(LOST, pixels, strict=True):
            writer.begin(name, SKELETON, ())
            count = 0
            for number in range(FRAMES):
                if number in LOST[name]:
                    count += 1
                    continue
                at = START_NS + 10**9 + number * PERIOD_NS + LATE_NS[name]
                points = own[number][None].astype(np.float32)
                pose = Pose(SKELETON, points, np.full((1, 2), 0.9, np.float32))
                times = at, at + 1, at + 2, at + 3, 0
                writer.step(Step(name, count, *times, pose, {}, ()))
                count += 1
    return folder


@pytest.mark.parametrize("pulses", [False, True])
def test_frames_of_a_run_are_matched_by_exposure_not_by_order(
    tmp_path: Path,
    calibration: Path,
    capsys: pytest.CaptureFixture[str],
    pulses: bool,
) -> None:
    run = record(tmp_path / "run", pulses)
    assert main([str(calibration), str(run)]) == 0
    told = capsys.readouterr().out
    by = "pulse numbers" if pulses else "times of exposure"
    assert f"40 moments, matched by {by}" in told
    rows = rows_of(run / "export/poses3d.csv")
    np.testing.assert_allclose(points_of(rows), POINTS, atol=0.01)
    assert [rows[n]["tail_views"] for n in (3, 4, 11)] == ["3", "2", "2"]
    assert float(rows[0]["time_s"]) == pytest.approx(1.004, abs=1e-6)


def test_a_run_whose_cameras_have_other_names_says_what_to_give(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(tmp_path / "run")
    cameras = four_cameras().select([*LOST])
    renamed = [
        replace(camera, name=f"cam{number}")
        for number, camera in enumerate(cameras.cameras)
    ]
    WRITERS["aniposelib"](CameraGroup(tuple(renamed)), calibration)
    assert main([str(calibration), str(run)]) == 2
    assert "has poses of the cameras left, right, front" in capsys.readouterr().err
    named = ["--cameras", "cam0", "cam1", "cam2"]
    assert main([str(calibration), str(run), *named]) == 0


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")
def test_real_points_that_do_not_fit_their_calibration_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DATA / "3d-mouse-video/minimal_session"

    def run(*names: str) -> int:
        poses = [folder / n / f"minimal_{n}_proofread.analysis.h5" for n in names]
        words = [folder / "calibration.toml", *poses, "--output", tmp_path / "a.csv"]
        return main([*map(str, words)])

    # Two cameras have the same values, one of which does not fit its points.
    assert run("back", "mid", "side", "top") == 2
    assert "cameras side and top are at the same place" in capsys.readouterr().err
    assert run("back", "mid", "side") == 2
    assert "points of the camera side do not fit" in capsys.readouterr().err
    assert run("back", "mid", "top") == 0
    assert "46% of the views of back do not fit" in capsys.readouterr().out
