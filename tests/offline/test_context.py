"""A network that looks at five frames: in whole videos as torch says, refused on a rig."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.frame_windows import windows
from deeplabstream.offline.parallel import open_parallel, reach_of
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_opening import (
    CONTEXT,
    open_estimator,
    open_for_videos,
)
from deeplabstream.training.model_export import ModelMetadata, export, export_context
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.video.video_reader import VideoImage, open_video
from tests.offline.films import spoil, write_film

HEIGHT, WIDTH = 64, 96
LOST = 9
ROWS = 24


def noise(row: int) -> Image:
    """Return a picture that is like no other one's."""
    rough = np.random.default_rng(row).integers(0, 255, (8, 12, 3), np.uint8)
    return np.ascontiguousarray(rough.repeat(8, 0).repeat(8, 1))


@pytest.fixture(scope="module")
def network() -> ContextNetwork:
    """Return one whose five frames matter."""
    torch.manual_seed(3)
    made = ContextNetwork(2, Architecture(kind="context", stages=4, channels=8))
    made.load_imagenet()
    torch.nn.init.normal_(made.more.weight, std=0.3)
    torch.nn.init.normal_(made.head.maps.weight, std=0.05)
    return made.eval()


@pytest.fixture(scope="module")
def folder(network: ContextNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its model folder."""
    path = tmp_path_factory.mktemp("models") / "mine"
    skeleton, fitting = Skeleton(("nose", "tail")), Fitting(HEIGHT, WIDTH)
    decoder = Heatmaps(STRIDE, network.how.sigma)
    metadata = ModelMetadata(
        skeleton, fitting, decoder, 0.99, {}
    )  # no point is visible
    seen = np.stack([noise(row) for row in range(10)])
    export(network, metadata, seen, path)
    export_context(network, metadata, seen.reshape(2, 5, HEIGHT, WIDTH, 3), path)
    return path


def torchs(network: ContextNetwork, seen: list[Image | None]) -> np.ndarray:
    """Return the heat maps' highest values that torch gives for each row; NaN: lost."""
    windows_, rows = [], [row for row, image in enumerate(seen) if image is not None]
    for row in rows:
        window = []
        for by in range(-2, 3):
            between = range(row + by, row) if by < 0 else range(row, row + by + 1)
            whole = all(0 <= at < len(seen) and seen[at] is not None for at in between)
            window.append(seen[row + by if whole else row])
        windows_.append(np.stack(window))  # type: ignore[arg-type]
    with torch.inference_mode():
        maps = network.surest(torch.from_numpy(np.stack(windows_)))
    values = np.full((len(seen), maps.shape[1]), np.nan)
    values[rows] = maps.amax(dim=(2, 3)).numpy()
    return values


def test_a_videos_rows_are_those_of_their_windows(
    network: ContextNetwork, folder: Path, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "film.mov", noise, ROWS, "mjpeg")
    spoil(film, [LOST])
    seen = [picture.image for picture in open_video(film).images()]
    assert seen[LOST] is None
    estimator = open_parallel(lambda n: open_for_videos(folder, "cpu", n), 2)
    assert reach_of(estimator) == 2
    found = predict(film, estimator, "mine", batch=5)
    expected = torchs(network, seen)
    np.testing.assert_allclose(found.table.confidence[:, 0], expected, atol=1e-4)
    single = predict(film, open_estimator(folder, "cpu"), "mine")
    assert np.nanmax(abs(single.table.confidence - found.table.confidence)) > 0.05


def test_what_was_stopped_goes_on_with_the_neighbours_of_its_first_row(
    folder: Path, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "film.mp4", noise, ROWS)
    estimator = open_for_videos(folder, "cpu")
    whole = predict(film, estimator, "mine")
    partial = tmp_path / "rows"

    def stop(done: int, rows: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(film, estimator, "mine", partial=partial, watch=stop)
    again = predict(film, estimator, "mine", partial=partial)
    assert 0 < again.resumed < ROWS
    np.testing.assert_allclose(
        again.table.confidence, whole.table.confidence, atol=1e-5
    )


def test_a_rig_gets_the_network_of_single_pictures_only(folder: Path) -> None:
    assert open_estimator(folder, "cpu").estimate([noise(1)])
    with pytest.raises(ModelError, match="needs 5 consecutive frames"):
        open_estimator(folder / CONTEXT, "cpu")
    with pytest.raises(ModelError, match="there is no model"):
        open_for_videos("nobody")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 7, 8, 13])
@pytest.mark.parametrize("reach", [0, 2])
def test_windows_select_each_image_once(count: int, reach: int) -> None:
    film = [VideoImage(row, row, None) for row in range(count)]
    selected = []
    for window in windows(film, 4, reach):
        rows = [picture.row for picture in window.images]
        own = [picture.row for picture in window.selected]
        assert rows == list(
            range(max(0, own[0] - reach), min(count, own[-1] + 1 + reach))
        )
        selected += own
    assert selected == list(range(count))
