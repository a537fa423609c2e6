import csv
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.evaluation.image_prediction import ImagePredictions, spread
from deeplabstream.training.evaluation.network_errors import gather
from deeplabstream.training.evaluation.point_errors import (
    Evidence,
    Poses,
    VideoMeasures,
    write_tables,
)
from deeplabstream.training.evaluation.report_page import write_page
from utils import EvaluateNetwork

PARTS = ("nose", "left<ear>")
SETS = ("train", "train", "validation", "test")
AWAY = [[3, 0], [1, 2], [10, 20], [np.nan, 4]]
"""px right of the label, by picture and body part; NaN: no label."""
SURE = [[0.9, 0.9], [0.9, 0.9], [0.2, 0.1], [0.3, 0.9]]


def labels_in(folder: Path) -> Labels:
    names = tuple(f"clip/img{row}.png" for row in range(4))
    (folder / "clip").mkdir(exist_ok=True)
    for row, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((60, 80, 3), 40 * row, np.uint8))
    points = np.array(
        [[[20 + row, 30], [40, 30 + row]] for row in range(4)], np.float32
    )
    points[np.isnan(AWAY)] = np.nan
    return Labels(
        folder / "CollectedData.csv", Skeleton(PARTS), tuple(folder / n for n in names),
        points, np.ones((4, 2), np.bool_), names, folder,
    )  # fmt: skip


def found_in(labels: Labels, right: object = AWAY) -> ImagePredictions:
    points = np.nan_to_num(labels.points, nan=5.0)
    points[..., 0] += np.nan_to_num(np.array(right, np.float32))
    return ImagePredictions(PARTS, labels.names, points, np.array(SURE, np.float32))


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    labels = labels_in(tmp_path)
    return gather(labels, SETS, found_in(labels))[0]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_known_errors_give_known_figures(evidence: Evidence, tmp_path: Path) -> None:
    film = VideoMeasures(
        "walk", PARTS, {"temporal_px": np.array([[np.nan, 1.0], [7.0, 3.0]])}
    )
    files = write_tables(tmp_path / "page.html", evidence, [film], 5)
    rows = {(r["set"], r["bodypart"], r["measure"]): r for r in rows_of(files[0])}
    train = rows["train", "together", "error_px"]
    assert [train[c] for c in ("labels", "median_px", "mean_px", "within")] == [
        "4", "1.5", "1.5", "1",
    ]  # fmt: skip
    assert rows["validation", PARTS[1], "error_px"]["mean_px"] == "20"
    assert rows["validation", "together", "error_px"]["within"] == "0"
    assert rows["test", "nose", "error_px"]["labels"] == "0"
    assert rows["test", "nose", "error_px"]["mean_px"] == ""
    assert rows["walk", PARTS[1], "temporal_px"]["mean_px"] == "2"
    points = rows_of(files[1])
    assert len(points) == 8
    assert points[4]["picture"] == "clip/img2.png"
    assert (points[4]["error_px"], points[4]["confidence"]) == ("10", "0.2")
    assert (points[6]["label_x"], points[6]["error_px"]) == ("", "")
    # Of 4 points not trained on, one is right: within 5 px.
    right = {
        r["confidence"]: r["right"] for r in rows_of(files[2]) if r["points"] == "1"
    }
    assert right == {"0.1": "0", "0.2": "0", "0.3": "0", "0.9": "1"}


def test_the_page_shows_every_point_and_needs_nothing_else(
    evidence: Evidence, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    write_page(page, "a & b", evidence, [], 5)
    text = page.read_text(encoding="utf-8")
    assert "<h1>a &amp; b</h1>" in text
    assert not re.search(r"https?:|src=|url\(|@import|\{\{", text)
    figures = [
        ET.fromstring(each) for each in re.findall(r"<figure .*?</figure>", text, re.S)
    ]
    assert [f.get("data-name") for f in figures] == [
        f"clip/img{row}.png" for row in (2, 3, 0, 1)
    ]  # the worst first
    assert {f.get("data-set") for f in figures} == set(SETS)
    worst = figures[0].findall("svg/g")
    assert [g.get("data-error") for g in worst] == ["10.000", "20.000"]
    assert [g.get("data-confidence") for g in worst] == ["0.2000", "0.1000"]
    assert worst[1].get("data-part") == PARTS[1]
    dot, cross = worst[0].find("circle"), worst[0].find("path")
    assert dot is not None
    assert dot.get("cx") == "32.50"  # the middle of pixel 32
    assert cross is not None
    unlabelled = figures[1].findall("svg/g")[0]
    assert unlabelled.find("path") is None
    assert unlabelled.find("circle") is not None
    plots = re.findall(r"<svg class=\"plot\".*?</svg>", text, re.S)
    assert len([ET.fromstring(each) for each in plots]) >= 3
    assert "<td>validation</td><td>together</td><td>distance to the label</td>" in text


def test_a_body_part_that_a_measure_leaves_out_has_no_curve(
    evidence: Evidence, tmp_path: Path
) -> None:
    known = np.array([[2.0, np.nan], [4.0, np.nan]])
    film = VideoMeasures("walk", PARTS, {"pca_singleview_px": known})
    write_page(tmp_path / "page.html", "one", evidence, [film])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    (plot,) = re.findall(r"<svg class=\"plot\"[^>]*><title>walk.*?</svg>", text)
    assert plot.count('<path class="l"') == 1


def test_an_ensemble_is_as_far_apart_as_its_members(tmp_path: Path) -> None:
    labels = labels_in(tmp_path)
    one, other = found_in(labels, 0), found_in(labels, 6)
    assert spread([one, other]) == pytest.approx(3)
    evidence, _ = gather(labels, SETS, one, [one, other])
    assert evidence.measures["spread_px"] == pytest.approx(3)
    write_page(tmp_path / "page.html", "two", evidence)
    assert (
        "Error against spread of the ensemble" in (tmp_path / "page.html").read_text()
    )
    with pytest.raises(
        LabelsError, match="an ensemble needs the same body parts: tail"
    ):
        gather(labels, SETS, one, [replace(other, bodyparts=("tail", "paw"))])


def test_a_pose_that_does_not_occur_is_told_by_its_principal_components() -> None:
    random = np.random.default_rng(0)
    # Two views of one point in space: y is the same in both.
    space = random.normal(0, 20, (40, 3))
    labels = np.stack([space[:, :2], space[:, [2, 1]]], axis=1).astype(np.float32)
    poses = Poses(PARTS, labels, (0, 1), ((0,), (1,)))
    told = poses.errors(labels[:5])
    assert told["pca_multiview_px"] == pytest.approx(0, abs=1e-4)
    wrong = labels[:5].copy()
    wrong[2, 0, 1] += 8  # half of it is laid to each view
    error = poses.errors(wrong)["pca_multiview_px"]
    assert error[2] == pytest.approx([4, 4], abs=1e-3)
    assert error[[0, 1, 3, 4]] == pytest.approx(0, abs=1e-4)
    assert set(told) == {"pca_singleview_px", "pca_multiview_px"}
    assert Poses(PARTS, labels[:2], (0, 1)).errors(wrong) == {}


def test_the_program_writes_page_and_tables(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("snout", "leftear", "rightear", "tailbase")
    film = tmp_path / "walk.csv"
    head = [
        ["scorer"] + ["x"] * 12,
        ["bodyparts"] + [part for part in parts for _ in range(3)],
        ["coords"] + ["x", "y", "likelihood"] * 4,
    ]
    lines = [[row, *[3 * row, 4 * row, 0.9] * 4] for row in range(3)]
    text = "\n".join(",".join(map(str, row)) for row in [*head, *lines]) + "\n"
    film.write_text(text, encoding="utf-8")
    page = tmp_path / "own.html"
    words = ["--model", "openfield", "--data", str(labelled), "--report", str(page)]
    words += ["--poses", str(film), "--device", "cpu"]
    assert EvaluateNetwork.main([*words, "--ensemble", "openfield"]) == 0
    assert "own_figures.csv, own_points.csv, own_reliability.csv" in (
        capsys.readouterr().out
    )
    assert page.read_text(encoding="utf-8").count("<figure ") == 8
    rows = {
        (r["set"], r["bodypart"], r["measure"]): r
        for r in rows_of(tmp_path / "own_figures.csv")
    }
    assert rows["walk", "snout", "temporal_px"]["median_px"] == "5"
    assert rows["all", "together", "spread_px"]["mean_px"] == "0"
    film.write_text(text.replace("snout", "paw"), encoding="utf-8")
    assert EvaluateNetwork.main([*words, "--overwrite"]) == 2
    assert "needs the body parts snout" in capsys.readouterr().err
    nowhere = [*words[:4], "--report", str(tmp_path / "no" / "page.html")]
    assert EvaluateNetwork.main(nowhere) == 2
    assert "page.html can't be used: No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        EvaluateNetwork.main([*words[:4], "--poses", str(film)])
    assert "need --report FILE.html" in capsys.readouterr().err
