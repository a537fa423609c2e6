"""Networks of several animals: an ensemble of them, and the report."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.ensemble import NetworkEnsemble, aligned, median, members
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.network_estimator import decode_poses
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    LabelsError,
    alike,
    spread,
    together,
)
from deeplabstream.training.evaluation.network_errors import gather
from deeplabstream.training.evaluation.point_errors import Evidence, write_tables
from deeplabstream.training.evaluation.report_page import write_page
from deeplabstream.training.lightning_pose.result_tables import read_predictions
from utils import EvaluateNetwork, SmoothEnsemble, TrainNetwork

PARTS = ("nose", "rump")


@pytest.fixture(scope="module")
def ensemble(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "pairs"
    own = shutil.copytree(pairs, folder.with_name("labels"))
    file = own / "CollectedData.csv"
    new = "\n".join(file.read_text().splitlines()[:6]) + "\n"
    (own / "CollectedData_new.csv").write_text(new)
    words = ["--data", str(file), "--output", str(folder), "--size", "96x64"]
    words += ["--steps", "2", "--stages", "4", "--channels", "8", "--sigma", "1"]
    words += ["--light", "0", "--batch", "4", "--quiet", "--threads", "2"]
    assert TrainNetwork.main([*words, "--seeds", "0,1"]) == 0
    return folder


def test_together_they_tell_of_the_animals_they_agree_on(ensemble: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    both = open_estimator(ensemble, "cpu", 1)
    assert isinstance(both, NetworkEnsemble)
    (pose,) = both.estimate([image])
    each = [
        open_estimator(folder, "cpu", 1).estimate([image])[0]
        for folder in members(ensemble)
    ]
    points, sure = aligned([(own.points, own.confidence) for own in each])
    assert pose.points.shape == (2, 2, 2)
    np.testing.assert_array_equal(pose.points, median(points))
    np.testing.assert_array_equal(pose.confidence, sure.mean(axis=0))


def test_an_ensemble_is_evaluated_and_reported(
    ensemble: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "both.html"
    words = ["--model", str(ensemble), "--device", "cpu", "--threads", "1"]
    assert EvaluateNetwork.main([*words, "--report", str(page)]) == 0
    told = capsys.readouterr().out
    assert "held-out animals, recall and precision of each: " in told
    assert "both_reliability.csv, both_kinds.csv, both_animals.csv" in told
    with (tmp_path / "both_animals.csv").open(newline="") as lines:
        rows = {row["set"]: row for row in csv.DictReader(lines)}
    assert set(rows) == {"train", "validation"}
    assert sum(int(row["labelled"]) for row in rows.values()) == 32
    assert page.read_text(encoding="utf-8").count("<figure ") == 16


def test_smoothing_says_why_it_is_for_one_animal(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert SmoothEnsemble.main(["none.mp4", "--model", str(ensemble)]) == 2
    told = capsys.readouterr().err
    assert "each network assigns identities independently" in told
    assert told.count("\n") == 1


def labels_of(pairs: Path) -> Labels:
    points = np.full((2, 4, 2), np.nan, np.float32)
    points[0] = [[10, 10], [40, 10], [10, 50], [40, 50]]
    points[1, :2] = [[60, 20], [60, 50]]
    names = ("img00.png", "img01.png")
    return Labels(
        pairs / "CollectedData.csv", Skeleton(PARTS), tuple(pairs / n for n in names),
        points, np.ones((2, 4), np.bool_), names, pairs, 2,
    )  # fmt: skip


def found_of(labels: Labels, off: float = 2.0) -> ImagePredictions:
    """The second of the first picture, and somebody who is not there; all of the second."""
    points = np.full((2, 4, 2), np.nan, np.float32)
    points[0, 2:] = labels.points[0, 2:] + [off, 0]
    points[0, :2] = [[80, 5], [80, 35]]
    points[1, 2:] = labels.points[1, :2] + [0, 2 * off]
    points[1, 3] = np.nan
    sure = np.where(np.isfinite(points).all(axis=2), 0.8, 0.0).astype(np.float32)
    return ImagePredictions(PARTS, labels.names, points, sure, 2)


@pytest.fixture
def evidence(pairs: Path) -> Evidence:
    labels = labels_of(pairs)
    edges = [("nose", "rump")]
    sets, found = ("train", "test"), found_of(labels)
    return gather(labels, sets, found, threshold=0.5, edges=edges)[0]


def test_known_animals_give_known_figures(evidence: Evidence, tmp_path: Path) -> None:
    files = write_tables(tmp_path / "page.html", evidence, [], 5)
    tables = []
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            tables.append(list(csv.DictReader(lines)))
    figures = {
        (r["set"], r["bodypart"]): r for r in tables[0] if r["measure"] == "error_px"
    }
    assert (figures["train", "nose"]["labels"], figures["train", "nose"]["mean_px"]) == (
        "1", "2",
    )  # fmt: skip
    assert figures["test", "together"]["mean_px"] == "4"
    assert [[r[c] for c in r] for r in tables[4]] == [
        ["train", "2", "1", "2", "0.5", "0.5"],
        ["test", "1", "1", "1", "1", "1"],
    ]
    told = [(r["picture"], r["animal"], r["error_px"]) for r in tables[1]]
    assert ("img00.png", "2", "2") in told
    assert len(told) == 8  # what was labelled, and the one who is not there
    (right,) = [r for r in tables[2] if r["points"] != "0"]
    assert (right["points"], right["right"]) == ("1", "1")  # of the test picture


def test_the_page_shows_who_was_missed_and_who_is_not_there(
    evidence: Evidence, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    write_page(page, "pairs", evidence)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\{\{", text)
    first, second = re.findall(r"<figure .*?</figure>", text, re.S)
    assert 'data-name="img00.png" data-missed="1" data-wrong="1"' in first
    assert 'data-name="img01.png" data-missed="0" data-wrong="0"' in second
    assert first.count("stroke-dasharray") == 1
    cells = "".join(f'<td class="n">{cell}</td>' for cell in ("2", "1", "2", "0.50"))
    assert f"<td>train</td>{cells}" in text
    assert "missed and false animals first" in text


def test_networks_are_as_far_apart_as_the_animals_they_share(pairs: Path) -> None:
    labels = labels_of(pairs)
    one, other = found_of(labels, 0), found_of(labels, 6)
    apart = spread(alike([one, other])).reshape(2, 2, 2)
    assert np.nanmax(apart[0]) == pytest.approx(3)
    evidence, _ = gather(labels, ("a", "a"), one, [one, other], threshold=0.5)
    rows = evidence.measures["spread_px"].reshape(2, evidence.animals, 2)
    np.testing.assert_allclose(rows[0, 1], [3, 3])
    assert np.isnan(rows[0, [0, 2, 3]]).all()
    assert together([one, other]).animals == 2
    single = ImagePredictions(
        PARTS, one.names, one.points[:, :2], one.confidence[:, :2]
    )
    with pytest.raises(LabelsError, match="networks of equal numbers of animals"):
        alike([one, single])


def test_the_confidence_of_several_animals_is_calibrated(ensemble: Path) -> None:
    folder = members(ensemble)[0]
    model = load_model_folder(folder)
    raw = json.loads((folder / "model.json").read_text())
    error = raw["about"]["calibration_error"]
    assert {"raw", "calibrated"} == set(error)
    grey = np.zeros((1, *model.output_shapes[0]), np.float32)
    points, sure = decode_poses(model, grey)
    assert np.isnan(points).all()
    assert not sure.any()  # nobody is no one, whatever the scale
    assert read_poses(folder / "predictions.csv").points.shape[1:] == (2, 2, 2)
    again = read_predictions(folder / "predictions.csv")
    assert (again.animals, again.points.shape[1:]) == (2, (4, 2))
    assert read_poses(folder / "predictions_new.csv").points.shape == (2, 2, 2, 2)
