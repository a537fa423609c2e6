"""Two persons' labels of the same images: how far they are apart."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.evaluation.second_labels import second_labels
from utils import CheckLabels, EvaluateNetwork, TrainNetwork

SMALL = ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4", "--quiet"]


def rows_of(table: Path) -> list[list[str]]:
    return list(csv.reader(table.read_text(encoding="utf-8").splitlines()))


def reread(table: Path, name: str, px: float, rows: int = 99) -> Path:
    """Write a second person's table: each point `px` farther to the right."""
    lines = rows_of(table)
    start = next(i for i, line in enumerate(lines) if line[0] == "coords") + 1
    for line in lines[start:]:
        for column in range(1, len(line), 2):
            if line[column]:
                line[column] = str(float(line[column]) + px)
    file = table.with_name(f"CollectedData_{name}.csv")
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(lines[: start + rows])
    return file


@pytest.fixture
def own(labelled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(labelled, tmp_path / "own"))


def test_the_table_beside_the_labels_is_compared(own: Path) -> None:
    assert second_labels(read_labels(own)) is None
    bob = reread(own / "CollectedData.csv", "bob", 3.0, rows=5)
    labels = read_labels(own)
    assert labels.file.name == "CollectedData.csv", "the second table is no fault"
    second = second_labels(labels)
    assert second is not None
    assert second.files == (bob,)
    assert np.isfinite(second.distance).sum() == 10
    for part in second.summary():
        assert (part.labels, part.unlike) == (5, 0)
        assert part.median_px == pytest.approx(3, abs=1e-3)


def test_a_label_of_one_person_alone_is_counted_and_has_no_distance(
    own: Path,
) -> None:
    bob = reread(own / "CollectedData.csv", "bob", 0.0)
    lines = rows_of(bob)
    lines[3][1] = lines[3][2] = ""
    with bob.open("w", newline="") as out:
        csv.writer(out).writerows(lines)
    second = second_labels(read_labels(own))
    assert second is not None
    ear, other = second.summary()
    assert (ear.labels, ear.unlike, other.labels) == (7, 1, 8)


def test_a_copy_of_the_labels_is_no_second_reading(own: Path) -> None:
    copy = reread(own / "CollectedData.csv", "annsingleanimal", 0.0)
    assert second_labels(read_labels(own)) is None
    reread(own / "CollectedData.csv", "bob", 3.0)
    second = second_labels(read_labels(own))
    assert second is not None
    assert [file.name for file in second.files] == ["CollectedData_bob.csv"]
    assert [part.median_px for part in second.summary()] == pytest.approx(
        [3, 3], abs=1e-3
    )
    assert f"{copy}: a copy of" in second.problems[0]
    with pytest.raises(LabelsError, match="and no second reading"):
        second_labels(read_labels(own), [copy])


def test_a_table_of_other_images_is_no_second_one(own: Path) -> None:
    bob = reread(own / "CollectedData.csv", "bob", 3.0)
    text = bob.read_text().replace("clip1/img07.png", "clip1/img99.png")
    bob.write_text(text)
    with pytest.raises(LabelsError, match="several tables of labels: name one"):
        read_labels(own)
    bob.write_text(text.replace("clip0/", "a/").replace("clip1/", "b/"))
    labels = read_labels(own / "CollectedData.csv")
    assert second_labels(labels) is None, "none of its images is in the other"
    with pytest.raises(LabelsError, match="no image and body part of"):
        second_labels(labels, [bob])


def test_a_damaged_second_table_is_named_and_stops_nothing(own: Path) -> None:
    reread(own / "CollectedData.csv", "bob", 1.0)
    (own / "CollectedData_eve.csv").write_text("nothing\n")
    second = second_labels(read_labels(own / "CollectedData.csv"))
    assert second is not None
    assert "CollectedData_eve.csv does not begin with" in second.problems[0]


def test_animals_are_compared_by_the_best_assignment(
    pairs: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(pairs, tmp_path / "pairs"))
    bob = reread(folder / "CollectedData.csv", "bob", 2.0)
    lines = rows_of(bob)
    for line in lines[4:]:
        line[1:5], line[5:9] = line[5:9], line[1:5]  # the other animal is named first
    with bob.open("w", newline="") as out:
        csv.writer(out).writerows(lines)
    second = second_labels(read_labels(folder, several=True))
    assert second is not None
    assert [part.labels for part in second.summary()] == [32, 32]
    assert np.nanmax(second.distance) == pytest.approx(2, abs=1e-3)


def test_a_deeplabcut_project_has_its_scorers_labels_and_a_second_ones(
    labelled: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(
        "scorer: ann\nbodyparts: [leftear, rightear]\nvideo_sets: {}\n"
    )
    lines = rows_of(labelled / "CollectedData.csv")
    for clip in ("clip0", "clip1"):
        folder = Path(
            shutil.copytree(labelled / clip, tmp_path / "labeled-data" / clip)
        )
        own = [line for line in lines[3:] if line[0].startswith(clip)]
        rows = [*lines[:3], *([f"labeled-data/{n}", *rest] for n, *rest in own)]
        with (folder / "CollectedData_ann.csv").open("w", newline="") as out:
            csv.writer(out).writerows(rows)
        reread(folder / "CollectedData_ann.csv", "bob", 4.0)
    labels = open_project(tmp_path, tmp_path).labels
    assert len(labels.names) == 8
    second = second_labels(labels)
    assert second is not None
    assert len(second.files) == 2
    assert [part.median_px for part in second.summary()] == pytest.approx([4, 4])


def test_the_distance_stands_beside_every_error(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reread(own / "CollectedData.csv", "bob", 1.5)
    out = tmp_path / "out"
    words = ["--data", str(own), "--output", str(out), *SMALL, "--channels", "8"]
    assert TrainNetwork.main([*words, "--no-imagenet"]) == 0
    assert "two persons: median   1.5   95 % below   1.5" in capsys.readouterr().out
    about = json.loads((out / "model.json").read_text())["about"]
    assert about["second_labels"][0]["labels"] == 8
    page, table = tmp_path / "page.html", tmp_path / "errors.csv"
    words = ["--model", str(out), "--report", str(page), "--csv", str(table)]
    assert EvaluateNetwork.main([*words, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "human_median_px" in said
    assert "two persons' labels (CollectedData_bob.csv)" in said
    header, *rows = rows_of(table)
    at = header.index("human_median_px")
    assert [float(row[at]) for row in rows] == pytest.approx(
        [1.5] * len(rows), abs=0.01
    )
    assert "distance between two persons" in page.read_text()
    figures = (tmp_path / "page_figures.csv").read_text()
    assert "human_px" in figures
    assert CheckLabels.main([str(own)]) == 0
    assert "leftear      median   1.5" in capsys.readouterr().out
