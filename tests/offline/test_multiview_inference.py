"""A multi-view network on one video per view: as torch says, refused anywhere else."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.multiview_inference import predict_views, sessions
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import (
    open_estimator,
    open_for_views,
    views_of,
)
from deeplabstream.training.model_export import ModelMetadata, export_views
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.multiview import MultiviewNetwork
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.video.video_reader import open_video
from tests.offline.films import spoil, write_film
from utils import PredictVideos

SIDE, ROWS, VIEWS = 64, 9, ("left", "right", "top")


def noise(row: int) -> Image:
    """Return an image that is like no other one's."""
    rough = np.random.default_rng(row).integers(0, 255, (8, 8, 3), np.uint8)
    return np.ascontiguousarray(rough.repeat(8, 0).repeat(8, 1))


@pytest.fixture(scope="module")
def network() -> MultiviewNetwork:
    torch.manual_seed(1)
    how = Architecture(kind="multiview", channels=8, views=3)
    made = MultiviewNetwork(6, how).eval()
    for layer in made.head.modules():  # so that peaks differ from each other
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data *= 3
    return made


@pytest.fixture(scope="module")
def folder(network: MultiviewNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "three"
    metadata = ModelMetadata(
        Skeleton(("ear", "tail")), Fitting(SIDE, SIDE),
        Heatmaps(STRIDE, network.how.sigma), 0.99, {},
    )  # fmt: skip
    seen = np.stack([noise(row) for row in range(12)]).reshape(4, 3, SIDE, SIDE, 3)
    model = export_views(network, metadata, seen, VIEWS, path)
    assert model.views == VIEWS
    return path


@pytest.fixture
def films(tmp_path: Path) -> dict[str, Path]:
    def of(place: int) -> Path:
        file = tmp_path / f"day1_{VIEWS[place]}.mov"
        return write_film(file, lambda row: noise(100 * place + row), ROWS, "mjpeg")

    return {view: of(place) for place, view in enumerate(VIEWS)}


def confidences(network: MultiviewNetwork, films: dict[str, Path]) -> np.ndarray:
    """Return the maps' highest values (row, view, bodypart) that torch gives."""
    shown = [[p.image for p in open_video(film).images()] for film in films.values()]
    grey = np.full((SIDE, SIDE, 3), 127, np.uint8)
    moments = [
        np.stack([grey if image is None else image for image in moment])
        for moment in zip(*shown, strict=True)
    ]
    with torch.inference_mode():
        maps = network.maps(torch.from_numpy(np.stack(moments)))
    return maps.amax(dim=(2, 3)).reshape(len(moments), len(films), -1).numpy()


def test_each_views_rows_are_those_of_all_views_together(
    network: MultiviewNetwork, folder: Path, films: dict[str, Path]
) -> None:
    spoil(films["right"], [4])
    found = predict_views(films, open_for_views(folder, "cpu"), "three", batch=2)
    assert [*found] == [*VIEWS]
    own = np.stack([each.table.confidence[:, 0] for each in found.values()], axis=1)
    expected = confidences(network, films)
    expected[4, 1] = np.nan  # its frame could not be decoded; the others' are there
    np.testing.assert_allclose(own, expected, atol=1e-4)
    assert [each.lost for each in found.values()] == [0, 1, 0]
    assert found["top"].table.skeleton.bodyparts == ("ear", "tail")


def test_what_was_stopped_goes_on(
    folder: Path, films: dict[str, Path], tmp_path: Path
) -> None:
    estimator = open_for_views(folder, "cpu")
    whole = predict_views(films, estimator, "three")

    def stop(done: int, rows: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    partial = tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        predict_views(films, estimator, "three", partial=partial, watch=stop)
    again = predict_views(films, estimator, "three", partial=partial)
    for view, poses in again.items():
        assert poses.resumed == 3
        np.testing.assert_allclose(
            poses.table.points, whole[view].table.points, atol=1e-5
        )


def test_the_program_writes_a_table_for_each_view(
    folder: Path,
    films: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    words = [str(tmp_path), "--model", str(folder), "--output", str(out)]
    assert PredictVideos.main([*words, "--runtime", "cpu"]) == 0
    for film in films.values():
        with (out / f"{film.stem}.csv").open(newline="") as file:
            assert len([row for row in csv.reader(file) if row[0].isdigit()]) == ROWS
    assert not (out / "day1.partial").exists()
    capsys.readouterr()
    assert PredictVideos.main([*words, "--runtime", "cpu"]) == 0
    assert "day1 is already predicted" in capsys.readouterr().out


def test_parts_of_a_recording_are_sessions_of_their_own() -> None:
    parts = [Path("run", f"{view}{part}.mkv") for view in VIEWS for part in ("", "_2")]
    assert {name: [*own.values()] for name, own in sessions(parts, VIEWS).items()} == {
        "run": parts[::2],
        "run_2": parts[1::2],
    }
    # Lightning Pose and Anipose allow a view within the name
    videos = [Path(f"mouse-{view} str 0.72.avi") for view in VIEWS]
    assert [*sessions(videos, VIEWS)] == ["mouse str 0.72"]
    for name in ("topless_2.mp4", "left_right_2.mp4"):
        with pytest.raises(DeepLabStreamError, match="or have it as a word"):
            sessions([Path(name)], VIEWS)


def test_what_is_no_session_of_the_views_is_told(
    folder: Path,
    films: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    videos = list(films.values())
    with pytest.raises(DeepLabStreamError, match="there is no video of the view top"):
        sessions(videos[:2], VIEWS)
    with pytest.raises(DeepLabStreamError, match="must end with that of its view"):
        sessions([Path("mouse.mp4")], VIEWS)
    with pytest.raises(DeepLabStreamError, match="are the same view"):
        sessions([Path("a_top.mp4"), Path("a_top.avi")], VIEWS)
    write_film(videos[2], noise, ROWS - 1, "mjpeg")
    words = [*map(str, videos), "--model", str(folder), "--output", str(tmp_path / "o")]
    assert PredictVideos.main([*words, "--runtime", "cpu"]) == 1
    assert "need the same number of frames" in capsys.readouterr().err


def test_a_rig_and_single_frames_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"frames of 3 cameras .*left, right, top"):
        open_estimator(folder, "cpu")
    assert views_of(folder) == VIEWS
    assert views_of("stand-in:1") == ()
    text = (folder / "model.json").read_text("utf-8")
    other = folder.with_name("damaged")
    other.mkdir()
    (other / "network.onnx").write_bytes((folder / "network.onnx").read_bytes())
    (other / "model.json").write_text(text.replace('"right"', '"left"'), "utf-8")
    with pytest.raises(ModelError, match="views: expected two names or more"):
        load_model_folder(other)
