"""Scores of tracks against the truth, where they can be computed by hand."""

import json
from dataclasses import replace
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.api.corrections import correct
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.tracking_evaluation import evaluate_tracking, similarity
from deeplabstream.recording.exporters.pose_files import write_dlc_csv
from deeplabstream.recording.pose_table import PoseTable, pose_table
from tests.recording.recorded import SKIPPED, UNFILMED, record
from utils.EvaluateTracking import main

pytest.importorskip("trackeval", reason="TrackEval computes the scores")
FRAMES = 10


def walking(animals: int = 2) -> NDArray[np.float64]:
    """Return animals of 20 px length (frame, animal, 2, 2) that are 100 px apart."""
    points = np.zeros((FRAMES, animals, 2, 2))
    points[..., 0] = 3.0 * np.arange(FRAMES)[:, None, None]
    points[..., 1, 0] += 20
    points[..., 1] = 100.0 * np.arange(animals)[:, None]
    return points


def table(points: NDArray[np.float64], *states: tuple[str, ...]) -> PoseTable:
    names = tuple(f"animal{n}" for n in range(1, points.shape[1] + 1))
    skeleton = Skeleton(("snout", "tailbase"), animals=names)
    sure = np.where(np.isfinite(points[..., 0]), 1.0, 0.0)
    made = pose_table(Path("tracks.csv"), skeleton, points, sure)
    return replace(made, identity=states)


def test_the_truth_itself_has_all_scores_of_1() -> None:
    scores = evaluate_tracking(table(walking()), table(walking())).all
    assert (scores.hota, scores.assa, scores.idf1, scores.switches) == (1, 1, 1, 0)
    assert (scores.frames, scores.true_animals) == (FRAMES, 2 * FRAMES)


def test_a_swap_after_half_of_the_frames() -> None:
    """Four pairs of identities share 5 frames each, of 15 that one or the other has."""
    swapped = walking()
    swapped[5:] = swapped[5:, ::-1]
    scores = evaluate_tracking(table(swapped), table(walking())).all
    assert scores.deta == 1
    assert scores.assa == pytest.approx(1 / 3)
    assert scores.hota == pytest.approx(sqrt(1 / 3))
    assert scores.idf1 == scores.idp == scores.idr == pytest.approx(0.5)
    assert scores.switches == 2


def test_a_new_name_is_a_switch_and_a_missing_animal_is_not() -> None:
    broken = np.full((FRAMES, 3, 2, 2), np.nan)
    broken[:, 0] = walking()[:, 0]
    broken[:4, 1], broken[6:, 2] = walking()[:4, 1], walking()[6:, 1]
    scores = evaluate_tracking(table(broken), table(walking())).all
    assert scores.switches == 1
    assert scores.deta == pytest.approx(18 / 20)
    assert scores.idr == pytest.approx(14 / 20)
    assert scores.idp == pytest.approx(14 / 18)


def test_similarity_falls_with_the_distance_and_with_parts_that_are_missing() -> None:
    truth = walking(1)[0]
    beside = truth + np.array([0.0, 2.0])
    assert similarity(beside, truth, 2.0) == pytest.approx(exp(-0.5))
    beside[0, 1] = np.nan
    assert similarity(beside, truth, 2.0) == pytest.approx(exp(-0.5) / 2)
    truth[0, 0] = np.nan
    assert similarity(beside, truth, 2.0) == 0


def test_identities_that_were_ambiguous_are_scored_with_and_without() -> None:
    """Swapped names that were said to be ambiguous are errors only where all are counted."""
    swapped = walking()
    swapped[5:] = swapped[5:, ::-1]
    states = [("", "")] * 5 + [("doubt1", "doubt1")] * 5
    found = evaluate_tracking(table(swapped, *states), table(walking()))
    assert found.all.idp == pytest.approx(0.5)
    assert found.known is not None
    assert (found.known.idp, found.known.switches) == (1, 0)
    assert found.known.idr == pytest.approx(0.5)


def test_a_detection_that_may_be_no_animal_has_no_known_identity() -> None:
    states = [("", "stray")] * FRAMES
    found = evaluate_tracking(table(walking(), *states), table(walking()))
    assert found.all.tracked_animals == 2 * FRAMES
    assert found.known is not None
    assert (found.known.tracked_animals, found.known.deta) == (FRAMES, 0.5)


def test_frames_are_compared_by_their_numbers() -> None:
    later = replace(table(walking()[4:]), frames=np.arange(4, FRAMES))
    whole = evaluate_tracking(later, table(walking()))
    assert whole.all.idr == pytest.approx(6 / 10)
    part = evaluate_tracking(later, table(walking()), frames=(4, 7))
    assert (part.all.frames, part.all.hota) == (4, 1)
    with pytest.raises(DeepLabStreamError, match="no frame in common from 0 to 3"):
        evaluate_tracking(later, table(walking()), frames=(0, 3))


def test_tracks_of_other_body_parts_are_refused() -> None:
    other = table(walking())
    other = replace(other, skeleton=replace(other.skeleton, bodyparts=("a", "b")))
    with pytest.raises(DeepLabStreamError, match="no body part in common: a, b; snout"):
        evaluate_tracking(other, table(walking()))


def test_the_program_compares_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = walking()
    swapped[5:] = swapped[5:, ::-1]
    write_dlc_csv(table(swapped), tmp_path / "tracks.csv")
    write_dlc_csv(table(walking()), tmp_path / "truth.csv")
    told = tmp_path / "scores.json"
    files = [str(tmp_path / "tracks.csv"), "--truth", str(tmp_path / "truth.csv")]
    assert main([*files, "--json", str(told)]) == 0
    assert "0.577" in capsys.readouterr().out
    (row,) = json.loads(told.read_text("utf-8"))["rows"]
    assert row["all"]["idf1"] == pytest.approx(0.5)
    assert row["known"] is None


def test_a_run_is_compared_with_its_corrections(tmp_path: Path) -> None:
    """Only filmed and analysed frames with a known animal are compared, by its video."""
    run = record(tmp_path / "run")
    correct(run, "remove", (10, 19), why="a hand")
    assert SKIPPED < 10
    told = tmp_path / "scores.json"
    words = ["--truth", str(run), "--length-px", "20", "--json", str(told)]
    assert main([str(run), *words]) == 0
    (row,) = json.loads(told.read_text("utf-8"))["rows"]
    assert row["all"]["frames"] == UNFILMED - 1 - 10
    assert row["all"]["hota"] == 1


def test_a_length_that_cannot_be_measured_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the run's two body parts one is below the threshold."""
    run = record(tmp_path / "run")
    assert main([str(run), "--truth", str(run)]) == 2
    assert "State it with --length-px" in capsys.readouterr().err
