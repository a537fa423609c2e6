"""Suspicious labels are found; usual ones are not suspected."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.label_checks import suspicious_labels
from deeplabstream.training.data.labels import Labels
from tests.training.walking_labels import PARTS, walked
from utils import CheckLabels, TrainNetwork


def labels_of(points: np.ndarray, animals: int = 1) -> Labels:
    flat = points.reshape(-1, animals * len(PARTS), 2).astype(np.float32)
    names = tuple(f"img{row}.png" for row in range(len(flat)))
    known = np.ones(flat.shape[:2], bool)
    images = tuple(map(Path, names))
    return Labels(Path(), Skeleton(PARTS), images, flat, known, names, Path(), animals)


def test_usual_labels_are_not_suspected() -> None:
    points = walked()
    points[3, 2] = points[8, 0] = np.nan
    assert suspicious_labels(labels_of(points)) == []


def test_an_animal_that_is_labelled_twice_is_found() -> None:
    points = walked(60).reshape(30, 2, len(PARTS), 2)
    points[:, 1] += 300
    points[4, 1] = points[4, 0] + 1
    points[6, 1] = points[6, 0] + 30  # they touch
    found = suspicious_labels(labels_of(points.reshape(60, -1, 2), animals=2))
    (one,) = [one for one in found if one.kind == "two animals in one place"]
    assert (one.image, one.animal, one.bodyparts) == ("img4.png", 1, PARTS)
    assert str(one).endswith("two animals in one place")


def test_swapped_ears_and_a_far_point_are_found() -> None:
    points = walked()
    points[5, [1, 2]] = points[5, [2, 1]]
    points[9, [0, 4]] = points[9, [4, 0]]
    points[20, 4] += (150, -80)
    found = suspicious_labels(labels_of(points))
    assert {(one.image, one.bodyparts, one.kind) for one in found} == {
        ("img5.png", ("leftear", "rightear"), "left and right swapped"),
        ("img9.png", ("snout", "tailbase"), "swapped"),
        ("img20.png", ("tailbase",), "far"),
    }
    (far,) = [one for one in found if one.kind == "far"]
    assert far.px == pytest.approx(170, abs=20)
    assert "px from where similar poses put it" in str(far)


def test_two_points_in_one_place_are_found_unless_they_often_are() -> None:
    points = walked()
    points[7, 3] = points[7, 0]
    found = suspicious_labels(labels_of(points))
    (same,) = [one for one in found if one.kind == "same place"]
    assert (same.image, same.bodyparts) == ("img7.png", ("snout", "neck"))
    points[::4, 3] = points[::4, 0]
    found = suspicious_labels(labels_of(points))
    assert [one for one in found if one.kind == "same place"] == []


def test_each_of_several_animals_is_a_pose() -> None:
    points = walked(80)
    points[11, [1, 2]] = points[11, [2, 1]]
    points[20] = np.nan  # one animal alone is labelled there
    (found,) = suspicious_labels(labels_of(points, animals=2))
    assert (found.image, found.animal) == ("img5.png", 1)
    assert found.bodyparts == ("leftear", "rightear")


def test_few_poses_do_not_say_what_is_usual() -> None:
    points = walked(12)
    points[5, [1, 2]] = points[5, [2, 1]]
    assert suspicious_labels(labels_of(points)) == []


@pytest.fixture
def swapped(labelled: Path, tmp_path: Path) -> Path:
    """A folder of 40 images with five body parts, ears swapped in one image."""
    points = walked(40)
    points += (64, 48) - points.mean(axis=1, keepdims=True)
    points[6, [1, 2]] = points[6, [2, 1]]
    image = next(labelled.glob("*/*.png")).read_bytes()
    rows = [["scorer", *["me"] * 10], ["bodyparts", *np.repeat(PARTS, 2)]]
    rows.append(["coords", *["x", "y"] * 5])
    for row, pose in enumerate(points):
        (tmp_path / f"img{row:02}.png").write_bytes(image)
        rows.append([f"img{row:02}.png", *map(str, pose.round(3).ravel())])
    with (tmp_path / "CollectedData.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    return tmp_path


def test_the_program_lists_them_and_changes_nothing(
    swapped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (swapped / "CollectedData.csv").read_bytes()
    table = swapped / "suspicious.csv"
    assert CheckLabels.main([str(swapped), "--csv", str(table)]) == 0
    said = capsys.readouterr().out
    assert "1 of 200 labels in 40 images are suspicious" in said
    assert "img06.png: leftear and rightear: left and right swapped" in said
    assert table.read_text().splitlines()[1].startswith("img06.png,1,leftear rightear")
    assert CheckLabels.main([str(swapped), "--csv", str(table)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert CheckLabels.main([str(swapped), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in told["suspicious"]] == ["img06.png"]
    assert told["too_few"] == ""
    assert (swapped / "CollectedData.csv").read_bytes() == before


def test_few_poses_are_not_said_to_be_free_of_faults(
    swapped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = swapped / "CollectedData.csv"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text("".join(lines[: 3 + 19]), "utf-8")
    assert CheckLabels.main([str(swapped)]) == 0
    said = capsys.readouterr().out
    assert "0 of 95 labels in 19 images are suspicious" in said
    assert "19 of at least 20 poses of three points: only points in the same" in said


def test_training_says_so_and_trains_all_the_same(
    swapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(swapped), "--output", str(tmp_path / "out"), "--quiet"]
    words += ["--size", "64x48", "--steps", "1", "--batch", "2", "--stages", "4"]
    assert TrainNetwork.main([*words, "--channels", "8", "--no-imagenet"]) == 0
    said = capsys.readouterr().out
    assert "1 of 200 labels are suspicious" in said
    assert "img06.png: leftear and rightear" in said
    assert (tmp_path / "out/model.json").is_file()
