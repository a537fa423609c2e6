"""Files of version 2.0.0.dev0 stay valid: settings, a model folder and a run folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.engine.replay.rerun import rerun
from deeplabstream.ipc.ring import Stamp
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording import run_opening
from deeplabstream.recording.csv_tables import CameraTable
from deeplabstream.recording.exporters.exports import EXPORTS, export
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_review import review
from deeplabstream.recording.table_reader import camera_table
from deeplabstream.settings.loading import load
from deeplabstream.settings.ready_made import load_with
from deeplabstream.video.video_reader import open_video

OLD = Path(__file__).parent / "golden" / "version_2_0_0_dev0"
RUN = OLD / "run"
ANALYSED, ROWS, RECORDED = 72, 73, 40
"""Frames in the old run: with poses, with a row, in the video."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old run."""
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    shutil.copytree(OLD / "models", tmp_path / "models")
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_the_settings_load() -> None:
    settings = load(OLD / "settings.ini")
    assert settings.tracking[""].smooth_hz == 6
    assert settings.experiment.exp_name == "ExampleExperiment"
    assert settings.cameras["arena"].mm_per_pixel == 4.5
    assert Path(settings.model) == OLD / "models" / "dots"


@pytest.mark.parametrize(
    "file", sorted((OLD / "configs").glob("*.ini")), ids=lambda file: file.stem
)
def test_the_ready_made_experiments_load(file: Path) -> None:
    here = Path(__file__).parents[1] / "settings.ini"
    assert load_with(here, str(file)).experiment.exp_name


def test_the_model_predicts_what_it_predicted() -> None:
    network = open_estimator(OLD / "models" / "dots", "cpu", 1)
    colour = np.full((96, 128, 3), 200, np.uint8)
    colour[40:52, 60:75] = 10
    grey = np.full((144, 160), 220, np.uint8)
    grey[100:118, 20:44] = 30
    one, other = network.estimate([colour, grey])
    assert network.skeleton.bodyparts == ("centre", "upper")
    assert network.skeleton.edges == (("centre", "upper"),)
    assert network.threshold == 0.3
    found = (
        [[67.3502, 45.4641], [67.3502, 48.0]],
        [[32.1487, 108.5014], [32.1498, 111.174]],
    )
    np.testing.assert_allclose([one.points[0], other.points[0]], found, atol=0.01)
    confidence = [[0.9091, 0.9091], [0.7273, 0.7273]]
    found_confidence = [one.confidence[0], other.confidence[0]]
    np.testing.assert_allclose(found_confidence, confidence, atol=0.001)


def test_the_run_opens_with_the_names_of_today(run: Path) -> None:
    folder = open_run_folder(run, pytest.fail)
    steps = list(folder.steps("arena"))
    assert len(steps) == ANALYSED
    assert {str(step.flags) for step in steps} == {
        "{'every point': 'smoothed+predicted'}"
    }
    assert [each for step in steps for each in step.commands]
    assert {row["kind"] for row in folder.events()} >= {"command", "edge", "mark"}


def test_what_is_read_is_written_again_byte_for_byte(run: Path, tmp_path: Path) -> None:
    folder = open_run_folder(run, pytest.fail)
    steps = {step.index: step for step in folder.steps("arena")}
    first = steps[min(steps)]
    start_ns = folder.facts["start_ns"]
    made = tmp_path / "again.csv"
    table = CameraTable(made, folder.skeleton, tuple(first.triggers), start_ns)
    for frame, exposed_ns, arrived_ns in camera_table(
        folder.table_path("arena"), folder.skeleton
    ).select("frame", "exposed_ns", "arrived_ns"):
        if (step := steps.get(int(frame))) is not None:
            table.step(step)
        else:
            table.skipped(Stamp(int(frame), int(exposed_ns), int(arrived_ns)))
    table.table.close()
    header, *old = lines(RUN / "arena.csv")
    again, *new = lines(made)
    assert again == header.replace(",doubts", ",flags")
    assert new == old
    assert len(new) == ROWS


def test_the_run_is_reviewed(run: Path) -> None:
    found = review(run)
    assert found.warnings == []
    assert {lane.name for lane in found.lanes} == {
        *("left", "right", "left stimulus", "right stimulus")
    }
    frames = found.cameras["arena"]
    assert int(frames.analysed.sum()) == ANALYSED
    assert frames.poses.points.shape[1:] == (1, 2, 2)
    assert len(open_video(run / "arena.mkv")) == RECORDED
    assert int((frames.rows["video"] == "arena.mkv").sum()) == RECORDED


def test_the_run_is_repaired_when_it_was_cut(run: Path) -> None:
    table = run / "arena.csv"
    table.write_bytes(table.read_bytes()[:-30])
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts |= {"ended": None, "how": None, "accounting": []}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    done = repair(run).done
    assert any("arena.csv: a half-written row was cut off" in each for each in done)
    assert any("the run was killed" in each for each in done)
    folder = open_run_folder(run, pytest.fail)
    assert len(list(folder.steps("arena"))) == ANALYSED - 1
    assert all(each["closes"] for each in folder.facts["accounting"])


@pytest.mark.parametrize("kind", sorted(EXPORTS))
def test_the_run_is_exported(run: Path, tmp_path: Path, kind: str) -> None:
    files = export(run, [kind], tmp_path / "export")
    assert files
    assert all(file.stat().st_size > 100 for file in files)


def test_every_decision_is_made_again(run: Path) -> None:
    again = rerun(run)
    assert again.frames == ANALYSED
    assert again.commands >= 4
    assert list(again.rows()) == []
