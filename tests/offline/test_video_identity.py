"""Which frames of a video have animals of ambiguous identity."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.pose_drawing import Drawing, Look, Shown
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.video_identity import is_ambiguous, with_identity
from deeplabstream.simulation.arena import Arena
from tests.offline.films import write_film
from utils.PredictVideos import main
from utils.RenderVideo import main as render

FRAMES = 150


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mice that look alike and meet."""
    arena = Arena((240, 320, 3), 1, shelter=False, animals=2)

    def draw(row: int) -> Image:
        image = np.empty(arena.shape, np.uint8)
        arena.draw(image, row / 30, row)
        return image

    path = tmp_path_factory.mktemp("mice") / "film.mp4"
    return write_film(path, draw, FRAMES, rate=30)


def predicted(film: Path, folder: Path, *words: str) -> list[dict[str, str]]:
    """Return the rows of the identity file, after a look at the counts."""
    model = ["--model", "stand-in:0:2", "--animals", "anna", "bob"]
    assert main([str(film), *model, "--output", str(folder), *words]) == 0
    with (folder / "film_identity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    told = json.loads((folder / "film.prediction.json").read_text("utf-8"))["identity"]
    assert told["doubted_frames"] == ambiguous(rows)
    return rows


def ambiguous(rows: list[dict[str, str]]) -> int:
    return sum(is_ambiguous(row["anna"]) or is_ambiguous(row["bob"]) for row in rows)


def test_motion_alone_resolves_an_ambiguity_after_the_given_time(
    film: Path, tmp_path: Path
) -> None:
    never = predicted(film, tmp_path / "never")
    soon = predicted(film, tmp_path / "soon", "--believe-after-s", "0.2")
    assert "believed" not in {row["anna"] for row in never}
    assert "believed" in {row["anna"] for row in soon} | {row["bob"] for row in soon}
    assert 0 < ambiguous(soon) < ambiguous(never)


def test_ambiguous_animals_are_marked_in_a_rendered_video(
    film: Path, tmp_path: Path
) -> None:
    rows = predicted(film, tmp_path, "--believe-after-s", "0.2")
    poses = tmp_path / "film.csv"
    table = with_identity(read_poses(poses))
    assert table.identity == [(row["anna"], row["bob"]) for row in rows]
    image = np.full((240, 320, 3), 90, np.uint8)
    marked, plain = (
        Drawing([Shown(each)], Look()) for each in (table, replace(table, identity=()))
    )
    for row in range(FRAMES):
        doubted = any(map(is_ambiguous, table.identity[row]))
        seen = bool(table.confidence[row].max() >= 0.5)
        drawn = marked.on(image, row, ""), plain.on(image, row, "")
        assert np.array_equal(*drawn) is not (doubted and seen), row
    assert render([str(film), "--poses", str(poses), "--output", str(tmp_path)]) == 0


def test_identities_of_another_video_are_refused(film: Path, tmp_path: Path) -> None:
    predicted(film, tmp_path)
    path = tmp_path / "film_identity.csv"
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    with pytest.raises(
        DeepLabStreamError, match=r"does not belong to film\.csv.*150 rows"
    ):
        with_identity(read_poses(tmp_path / "film.csv"))


RIG = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0:2
[Camera top]
KIND = SimulatedCamera
"""
NEST = """
[Animals]
SHELTERS = nest
[Trigger nest]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 116 22 88 48
"""


def test_the_shelters_of_settings_are_those_of_the_video(tmp_path: Path) -> None:
    """From 8.5 s on; anna is in the shelter from 10.2 to 12.4 s."""
    arena = Arena((240, 320, 3), 4, animals=2, alike=False)

    def draw(row: int) -> Image:
        image = np.empty(arena.shape, np.uint8)
        arena.draw(image, 8.5 + row / 30, row)
        return image

    film = write_film(tmp_path / "film.mp4", draw, FRAMES, rate=30)
    settings = tmp_path / "settings.ini"
    settings.write_text(RIG + NEST, "utf-8")
    plain = predicted(film, tmp_path / "plain")
    rows = predicted(film, tmp_path / "nest", "--shelters", str(settings))

    hidden = {
        str(row)
        for row in range(FRAMES)
        if np.isnan(arena.truth(8.5 + row / 30)).all(axis=(1, 2)).any()
    }
    told = {row["frame"] for row in rows if "shelter1" in row["anna"] + row["bob"]}
    assert len(told & hidden) >= 20
    assert not any("shelter1" in row["anna"] + row["bob"] for row in plain)


def test_settings_without_a_shelter_are_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.ini"
    settings.write_text(RIG, "utf-8")
    words = ["--model", "stand-in:0:2", "--shelters", str(settings)]
    assert main([str(film), *words]) != 0
    assert "SHELTERS names no region of [Camera top]" in capsys.readouterr().err
