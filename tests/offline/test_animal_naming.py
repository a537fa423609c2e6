"""Several animals in a video: rows under their names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.offline.video_identity import VideoAnimals
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.placeholder_network import PlaceholderNetwork
from deeplabstream.pose.tracking.identity_tracker import IdentitySettings
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.simulation.arena import Arena


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arena]:
    arena = Arena((240, 320, 3), 0, shelter=False, animals=2, alike=False)
    path = tmp_path_factory.mktemp("films") / "two.mkv"
    image = np.empty(arena.shape, np.uint8)
    with VideoWriter(path, ImageFormat(arena.shape, 30.0)) as file:
        for index in range(240):
            arena.draw(image, 1.0 + index / 30, index)
            at = index * 33_333_333
            file.write(image, index, at, at)
    return path, arena


def test_each_animal_has_the_rows_of_its_name(
    film: tuple[Path, Arena], tmp_path: Path
) -> None:
    path, arena = film
    found = predict(
        path,
        PlaceholderNetwork(animals=2),
        "blobs",
        animals=VideoAnimals(["anna", "bob"], IdentitySettings("darkest")),
    )
    assert found.identities is not None
    assert 0 < found.identities.ambiguous < 150
    truth = np.stack([arena.truth(1 + index / 30) for index in range(240)]).mean(axis=2)
    seen = found.table.points.mean(axis=2)
    away = np.linalg.norm(seen[:, :, None] - truth[:, None], axis=-1)
    last = away[-30:]
    assert np.nanmedian(last[:, 0, 0]) < 15
    assert np.nanmedian(last[:, 1, 1]) < 15
    WRITERS["csv"](found.table, tmp_path / "two.csv")
    table = pd.read_csv(tmp_path / "two.csv", header=[0, 1, 2, 3], index_col=0)
    assert set(table.columns.get_level_values("individuals")) == {"anna", "bob"}
    assert len(table) == 240


def test_more_names_than_animals_are_refused(film: tuple[Path, Arena]) -> None:
    with pytest.raises(DeepLabStreamError, match="2 names, but the network finds one"):
        predict(
            film[0], PlaceholderNetwork(), "one", animals=VideoAnimals(["anna", "bob"])
        )
