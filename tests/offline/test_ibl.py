from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, ModelError, SettingsError
from deeplabstream.offline import dlc, lightning_pose, motion_energy
from deeplabstream.offline.ibl.pipeline import PIPELINES
from tests.offline.films import write_film
from tests.offline.sessions import PUPIL, Finders, places, write_camera

SIDE = ["nose_tip", *PUPIL, "paw_l", "paw_r", "tube_top", "tube_bottom",
        "tongue_end_l", "tongue_end_r"]  # fmt: skip


def session(tmp_path: Path) -> Path:
    return tmp_path / "lab/Subjects/mouse/2026-11-21/001"


def pipeline(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = (PIPELINES / "ibl.ini").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.ini"
    path.write_text(text, "utf-8")
    return path


def off_truth(
    table: pd.DataFrame,
    camera: str,
    parts: list[str],
    nose: tuple[int, int] | None = None,
) -> NDArray[np.float64]:
    """Return (row, part, 2): how far the table is from where the points were drawn."""
    found = np.array(
        [[table[f"{p}_x"].to_numpy(), table[f"{p}_y"].to_numpy()] for p in parts]
    )
    truth = [[places(camera, row, nose)[p] for p in parts] for row in range(len(table))]
    return np.moveaxis(found, 2, 0) - np.array(truth)


@pytest.mark.parametrize("camera", ["left", "right", "body"])
def test_points_come_back_to_where_they_were_drawn(tmp_path: Path, camera: str) -> None:
    video = write_camera(session(tmp_path), camera, 12)
    finders = Finders()
    path = lightning_pose(video, networks=finders)
    assert path == session(tmp_path) / f"alf/_ibl_{camera}Camera.lightningPose.pqt"
    table = pd.read_parquet(path)
    parts = ["tail_start"] if camera == "body" else SIDE
    assert list(table) == [f"{p}_{c}" for p in parts for c in ("x", "y", "likelihood")]
    assert len(table) == 12
    assert np.abs(off_truth(table, camera, parts)).max() < 0.3
    assert (table[[f"{p}_likelihood" for p in parts]] > 0.9).all(axis=None)
    if camera != "body":
        side = 50 if camera == "right" else 100
        assert finders.all["nose_tip-*"][0].sizes == {(side, side)}
        tongue = 80 if camera == "right" else 160
        assert finders.all["tongue-mic-*"][0].sizes == {(tongue, tongue)}
    assert lightning_pose(video) == path  # it is there: no network is needed
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("camera", "nose"),
    [
        ("left", (60, 300)),
        ("left", (1100, 660)),
        ("right", (60, 300)),
        ("right", (420, 660)),
    ],
)
def test_crops_at_the_border_do_not_move_points(
    tmp_path: Path, camera: str, nose: tuple[int, int]
) -> None:
    without = [n for n, (x, y) in places("left", 0, nose).items()
               if not (6 < x < 1265 and 6 < y < 1000)]  # fmt: skip
    video = write_camera(session(tmp_path), camera, 3, nose, without)
    table = pd.read_parquet(lightning_pose(video, networks=Finders()))
    parts = [name for name in SIDE if table[f"{name}_likelihood"].min() > 0.9]
    assert "nose_tip" in parts
    assert np.abs(off_truth(table, camera, parts, nose)).max() < 0.3


def test_upstreams_faults_can_be_had(tmp_path: Path) -> None:
    nose = (30, 520)
    without = ("tube_top", "tube_bottom", "tongue_end_l", "tongue_end_r")
    video = write_camera(session(tmp_path), "left", 5, nose, without)
    compat = pipeline(tmp_path, ("CLAMPED_CROP = correct", "CLAMPED_CROP = compat"))
    table = pd.read_parquet(lightning_pose(video, networks=Finders(), pipeline=compat))
    off = off_truth(table, "left", ["nose_tip"], nose)
    np.testing.assert_allclose(off[..., 0], 32 - 50, atol=0.3)  # mean nose at 32
    video = write_camera(session(tmp_path), "right", 5)
    flip = pipeline(tmp_path, ("FLIP = correct", "FLIP = compat"))
    table = pd.read_parquet(lightning_pose(video, networks=Finders(), pipeline=flip))
    np.testing.assert_allclose(off_truth(table, "right", SIDE)[..., 0], 1, atol=0.3)


def test_a_region_that_is_not_found_is_nan_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = write_camera(session(tmp_path), "left", 5, without=["nose_tip", "tube_top"])
    table = pd.read_parquet(lightning_pose(video, networks=Finders()))
    for part in ("nose_tip", "tongue_end_l", "tube_bottom"):
        assert table[f"{part}_x"].isna().all()
        assert (table[f"{part}_likelihood"] == 0).all()
    assert np.abs(off_truth(table, "left", [*PUPIL, "paw_l"])).max() < 0.3
    assert "left: region nose_tip not found" in caplog.text
    assert "region tongue not found (tube_top" in caplog.text
    compat = pipeline(tmp_path, ("MISSING_REGION = correct", "MISSING_REGION = compat"))
    with pytest.raises(DeepLabStreamError, match="nose_tip not found"):
        lightning_pose(video, networks=Finders(), pipeline=compat, force=True)


def test_ensembles_have_nine_columns_a_point(tmp_path: Path) -> None:
    video = write_camera(session(tmp_path), "right", 30)
    table = pd.read_parquet(lightning_pose(video, networks=Finders(eyes=5, paws=5)))
    assert len(table.columns) == 3 + 36 + 18 + 12
    medians = table.rename(columns=lambda name: name.replace("_ens_median", "_m"))
    for part in (*PUPIL, "paw_l", "paw_r"):
        for axis, at in (("x", 0), ("y", 1)):
            truth = [places("right", row)[part][at] for row in range(30)]
            assert np.abs(medians[f"{part}_{axis}_m"] - truth).max() < 0.3
    quiet = [f"{p}_{a}_posterior_var" for p in ("paw_l", "paw_r") for a in "xy"]
    assert (table[quiet] > 0).all(axis=None)
    assert np.abs(off_truth(table, "right", ["paw_l"])).mean() < 1


def test_size_and_rate_that_are_not_the_cameras_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = write_camera(session(tmp_path), "body", 5, rate=60)
    lightning_pose(video, networks=Finders())
    assert "frames per second, but the pipeline's body camera has 30" in caplog.text
    small = write_film(video.with_name("_iblrig_leftCamera.raw.mp4"), frames=3)
    lightning_pose(small, networks=Finders())
    assert "is 64×48, but the pipeline's left camera is 1280×1024" in caplog.text


def test_without_networks_a_sentence_says_how_to_supply_them(tmp_path: Path) -> None:
    video = write_camera(session(tmp_path), "body", 2)
    with pytest.raises(
        ModelError, match=r"no folder networks_v2.2.*ckpts_path=.*Train"
    ):
        lightning_pose(video)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"NETWORKS = tail-mic-\*: no such network"):
        lightning_pose(video, tmp_path / "empty")
    with pytest.raises(SettingsError, match="contains the name of no camera"):
        lightning_pose(video.with_name("film.mp4"))


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    video = write_camera(session(tmp_path), "body", 40)

    class Killed(Finders):
        def matching(self, pattern: str) -> "list[object]":  # type: ignore[override]
            finder = super().matching(pattern)[0]
            whole = finder.estimate
            finder.estimate = (  # type: ignore[method-assign]
                lambda images, cameras=(): (
                    stop() if finder.calls > 16 else whole(images)
                )
            )
            return [finder]

    def stop() -> "list[object]":
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lightning_pose(video, networks=Killed())  # type: ignore[arg-type]
    finders = Finders()
    table = pd.read_parquet(lightning_pose(video, networks=finders))
    assert finders.all["tail-mic-*"][0].calls < 40
    assert np.abs(off_truth(table, "body", ["tail_start"])).max() < 0.3


def published(video: Path, x: int, y: int, w: int, h: int) -> NDArray[np.float64]:
    """Transcribed from the published description."""
    capture, frames = cv2.VideoCapture(str(video)), []
    while True:
        there, image = capture.read()
        if not there:
            break
        frames.append(cv2.cvtColor(image[y : y + h, x : x + w], cv2.COLOR_BGR2GRAY))
    stack = np.asarray(frames, dtype=np.float32)
    energy = np.zeros(len(stack))
    energy[:-1] = np.mean(np.abs(np.diff(stack, axis=0)), axis=(1, 2))
    energy[-1] = energy[-2]
    return energy


@pytest.mark.parametrize("camera", ["left", "right", "body"])
def test_motion_energy_is_the_published(tmp_path: Path, camera: str) -> None:
    video = write_camera(session(tmp_path), camera, 6)
    poses = lightning_pose(video, networks=Finders())
    energy_file, place_file = motion_energy(video, poses)
    assert energy_file.name == f"{camera}Camera.ROIMotionEnergy.npy"
    assert place_file.name == f"{camera}ROIMotionEnergy.position.npy"
    table = pd.read_parquet(poses)

    def middle(part: str) -> NDArray[np.float64]:
        return np.array([int(table[f"{part}_{axis}"].mean()) for axis in "xy"])

    if camera == "body":
        tx, ty = middle("tail_start")
        w, h, x, y = int(3 / 5 * tx), 210, int(tx - 3 / 5 * tx), int(ty - 120)
    else:
        nose, pupil = middle("nose_tip"), middle("pupil_top_r")
        anchor = np.mean([nose, pupil], axis=0)
        distance = np.sqrt(np.sum((nose - pupil) ** 2))
        w, h = int(distance / 2), int(distance / 3)
        x, y = int(anchor[0] - distance / 4), int(anchor[1])
    assert np.load(place_file).tolist() == [w, h, x, y]
    energy = np.load(energy_file)
    np.testing.assert_array_equal(energy, published(video, x, y, w, h))
    assert energy.dtype == np.float64


def test_motion_energy_without_its_points_is_nan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = write_camera(session(tmp_path), "left", 4, without=PUPIL)
    poses = lightning_pose(video, networks=Finders())
    energy_file, place_file = motion_energy(video, poses)
    assert np.isnan(np.load(energy_file)).all()
    assert np.load(place_file).tolist() == [0, 0, 0, 0]
    assert "region of motion energy whisker not found" in caplog.text


def test_dlc_gives_its_table_and_the_times_it_took(tmp_path: Path) -> None:
    video = write_camera(session(tmp_path), "right", 12)
    path, timer = dlc(video, networks=Finders())
    assert path.name == "_ibl_rightCamera.dlc.pqt"
    table = pd.read_parquet(path)
    assert list(table) == [f"{p}_{c}" for p in SIDE for c in ("x", "y", "likelihood")]
    inner = table.iloc[2:-2]  # the median of five frames has none beyond the ends
    still = [f"{p}_{a}" for p in ("tube_top", "tube_bottom") for a in "xy"]
    assert inner[still].std().max() < 0.01
    assert {"Detect ROIs", "Run eye network", "DLC total"} <= set(timer)
    assert timer["DLC total"] > 0


def test_the_tables_own_facts_say_how_it_was_made(tmp_path: Path) -> None:
    video = write_camera(session(tmp_path), "body", 3)
    facts = pd.read_parquet(lightning_pose(video, networks=Finders())).attrs
    assert facts["networks"] == {"tail_start": ["levels"]}
    assert "[Quirks]" in facts["pipeline_text"]
