import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording import run_opening
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import Review, review
from tests.recording.recorded import FRAMES, SKIPPED, UNFILMED, answer, record, step


@pytest.fixture
def run(tmp_path: Path) -> Review:
    return review(record(tmp_path / "run"))


def test_every_moment_has_the_frame_that_was_seen_then(run: Review) -> None:
    assert run.row_at("top", -1.0) == 0
    assert run.row_at("top", 0.0) == 0
    assert run.row_at("top", 0.19) == 1
    assert run.row_at("top", 100.0) == FRAMES - 1
    assert run.time_of("top", 12) == pytest.approx(1.2)
    assert run.end_s == pytest.approx(3.9)


def test_a_frame_comes_back_with_its_pose_and_answers(run: Review) -> None:
    for frame in (0, 12, 22, 39):
        found, wanted = run.step_of("top", frame), step(frame)
        assert found is not None
        assert found.index == frame
        assert found.exposed_ns == wanted.exposed_ns
        assert np.array_equal(found.pose.points, wanted.pose.points)
        assert np.array_equal(found.pose.confidence, wanted.pose.confidence)
        assert found.triggers == {"in": answer(frame)}
    assert run.step_of("top", SKIPPED) is None


def test_pictures_are_found_where_there_are_some(run: Review) -> None:
    video = run.folder.path / "top.mkv"
    assert run.video_frame_of("top", 3) == (video, 3)
    assert run.video_frame_of("top", UNFILMED - 1) == (video, UNFILMED - 1)
    assert run.video_frame_of("top", UNFILMED) is None


def test_frames_of_an_analysed_video_are_those_of_the_video(tmp_path: Path) -> None:
    video = record(tmp_path / "filmed") / "top.mkv"
    path = record(tmp_path / "analysed", filmed=range(0))
    RunFolder(path).update(video=str(video))
    assert review(path).video_frame_of("top", 3) == (video, 3)
    video.unlink()
    assert review(path).video_frame_of("top", 3) is None


def test_lanes_tell_what_held_when(run: Review) -> None:
    trigger, light = run.lanes
    assert (trigger.name, light.name) == ("in", "light")
    spans = [(span.start_s, span.end_s, span.value) for span in trigger.spans]
    assert spans == [(0, 1, 0), (1, 2, 1), (2, 2.5, None), (2.5, 3.9, 0)]
    assert trigger.at(1.5) == 1
    assert trigger.at(2.2) is None
    assert run.levels_at(1.0) == {"light": 0}
    assert run.levels_at(1.06) == {"light": 0.5}
    assert run.levels_at(2.06) == {"light": 0}
    assert run.marks == [(1.0, "entry")]


def test_a_killed_run_is_made_whole_before_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    path = record(tmp_path / "run")
    RunFolder(path).update(ended=None, how=None)
    with (path / "top.csv").open("ab") as table:
        table.write(b"40,4.0,50")  # half a row
    run = review(path)
    assert len(run.cameras["top"].rows) == FRAMES
    assert run.facts["how"] == "killed"
    assert "top.csv: a half-written row was cut off" in run.facts["repaired"][0]


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="is not a run folder"):
        review(tmp_path)
    path = record(tmp_path / "run")
    (path / "triggers.csv").unlink()
    assert review(path).warnings == ["triggers.csv is missing"]


def test_a_run_of_an_earlier_version_is_reviewed(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "runs" / "conditional"
    shutil.copytree(golden, tmp_path / "run")
    found = review(tmp_path / "run")
    step = found.step_of("arena", 0)
    assert step is not None
    assert step.pose.identity == ()
