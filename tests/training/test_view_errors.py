"""Errors of a multi-view network, in the images of its views and in space, in mm."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.offline.space_poses import read_camera_poses, space_poses
from deeplabstream.recording.calibrations import calibration_file
from deeplabstream.space.triangulation import LIMIT_PX, NOISE_PX
from deeplabstream.training.camera_geometry import project, read_calibration
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation import view_errors
from deeplabstream.training.evaluation.view_errors import SPACE, evaluate_views
from tests.training.test_multiview import rig
from utils import EvaluateNetwork

VIEWS = ("left", "right")
SKELETON = Skeleton(("tail", "ear"))
"""In another order than the labels."""
__all__ = ["rig"]


class Shifted:
    """A network that finds each point 1 mm beside its place, along x."""

    skeleton = SKELETON

    def __init__(self, folder: Path, hidden: str = "") -> None:
        cameras = read_calibration(folder / "calibration.toml", VIEWS)
        rng = np.random.default_rng(0)
        space = torch.from_numpy(rng.uniform(-12, 12, (8, 2, 3)))
        beside = space + torch.tensor([1.0, 0.0, 0.0])
        seen = [project(camera, beside).numpy()[:, ::-1] for camera in cameras]
        self.points = np.stack(seen).astype(np.float32)
        self.hidden, self.moment = hidden, 0

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        assert len(images) == len(VIEWS)
        points = self.points[:, self.moment].copy()
        self.moment += 1
        if self.hidden:
            points[VIEWS.index(self.hidden)] = np.nan
        sure = np.full((1, 2), 0.9, np.float32)
        return [Pose(SKELETON, own[None], sure) for own in points]


@pytest.fixture
def folder(rig: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, which is at once the folder of a network that was trained with it."""
    monkeypatch.setattr(view_errors, "find_model", lambda _: rig.parent)
    described = SimpleNamespace(views=VIEWS)
    monkeypatch.setattr(view_errors, "load_model_folder", lambda _: described)
    use(rig.parent, monkeypatch)
    return rig.parent


def use(folder: Path, monkeypatch: pytest.MonkeyPatch, hidden: str = "") -> None:
    network = Shifted(folder, hidden)
    monkeypatch.setattr(view_errors, "open_for_views", lambda *_: network)


def test_errors_of_a_multi_view_project_are_in_px_of_each_view_and_in_mm(
    folder: Path,
) -> None:
    errors = evaluate_views("network")
    rows = list(errors.rows())
    assert [(view, part) for _, view, part, *_ in rows] == [
        (view, part) for view in (*VIEWS, SPACE) for part in SKELETON.bodyparts
    ]
    assert all(count == 8 for *_, count, _, _, _ in rows)
    assert all(1 < median < 4 for _, view, _, _, median, *_ in rows if view != SPACE)
    for _, view, _, _, median, mean, p95 in rows:
        if view == SPACE:
            assert (median, mean, p95) == pytest.approx((1, 1, 1), abs=0.02)
    assert "16 of 16 labelled points in space" in errors.sentence


def test_a_point_that_a_view_does_not_find_is_missing_in_space(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(folder, monkeypatch, hidden="right")
    errors = evaluate_views("network")
    assert {view for _, view, *_ in errors.rows()} == {"left"}
    assert "0 of 16 labelled points in space" in errors.sentence


def test_without_a_calibration_the_errors_are_in_px_only(folder: Path) -> None:
    (folder / "calibration.toml").unlink()
    errors = evaluate_views("network")
    assert errors.mm is None
    assert "--calibration" in errors.sentence


def test_tables_and_a_calibration_can_be_given(folder: Path, tmp_path: Path) -> None:
    tables = [folder / f"{view}.csv" for view in VIEWS]
    errors = evaluate_views("network", tables, folder / "calibration.toml", "cm")
    assert errors.mm is not None
    assert float(np.median(errors.mm)) == pytest.approx(10, abs=0.2)
    with pytest.raises(LabelsError, match="a table for each"):
        evaluate_views("network", tables[:1])


def test_a_network_of_single_images_is_evaluated_in_mm_with_a_table_of_each_camera(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(view_errors, "open_estimator", lambda *_: Shifted(folder))
    monkeypatch.setattr(
        "deeplabstream.programs.evaluate_network.views_of", lambda _: ()
    )
    tables = [str(folder / f"{view}.csv") for view in VIEWS]
    words = ["--model", "network", "--calibration", str(folder / "calibration.toml")]
    assert EvaluateNetwork.main([*words, "--unit", "mm", "--data", *tables]) == 0
    told = capsys.readouterr().out
    assert "16 of 16 labelled points in space" in told
    rows = [line.split() for line in told.splitlines()]
    medians = [float(row[4]) for row in rows if row[1:2] == [SPACE]]
    assert medians == pytest.approx([1, 1], abs=0.02)

    assert EvaluateNetwork.main([*words, "--data", tables[0]]) == 2
    assert "a table of each" in capsys.readouterr().err
    other = folder / "other.csv"
    other.write_text((folder / "left.csv").read_text("utf-8"), "utf-8")
    assert EvaluateNetwork.main([*words, "--data", str(other), tables[1]]) == 2
    assert "Rename a table or the cameras" in capsys.readouterr().err
    assert EvaluateNetwork.main(["--model", "network", "--unit", "mm"]) == 2
    assert "give both" in capsys.readouterr().err


def test_a_calibration_of_other_views_is_refused(folder: Path) -> None:
    text = (folder / "calibration.toml").read_text("utf-8")
    (folder / "calibration.toml").write_text(text.replace('"left"', '"top"'), "utf-8")
    with pytest.raises(DeepLabStreamError, match="left"):
        evaluate_views("network")


def test_predictions_of_the_views_become_points_in_mm(folder: Path) -> None:
    """As `PredictVideos` writes them, one table for each view of a session."""
    network, files = Shifted(folder), []
    for view, points in zip(VIEWS, network.points, strict=True):
        rows = ["scorer,n,n,n,n,n,n", "bodyparts,tail,tail,tail,ear,ear,ear"]
        rows.append("coords,x,y,likelihood,x,y,likelihood")
        for frame, own in enumerate(points):
            cells = [f"{x:.3f},{y:.3f},0.9" for x, y in own]
            rows.append(",".join([str(frame), *cells]))
        files.append(folder / f"day1_{view}.csv")
        files[-1].write_text("\n".join(rows) + "\n", "utf-8")

    poses = read_camera_poses(tuple(files), VIEWS)
    group = calibration_file.read_calibration(folder / "calibration.toml", "", VIEWS)
    table = space_poses(group, poses, LIMIT_PX, NOISE_PX).table
    rng = np.random.default_rng(0)
    truth = rng.uniform(-12, 12, (8, 2, 3))[:, ::-1] + [1.0, 0.0, 0.0]
    assert table.points == pytest.approx(truth, abs=0.02)
