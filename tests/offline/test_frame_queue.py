"""Uncertain frames of a run are queued with their reasons, at most some per hour."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.frame_queue import queue, queued_frames
from deeplabstream.training.data.label_book import open_book
from tests.recording import recorded
from utils import PickFrames


def test_an_hour_queues_no_more_than_it_may_and_no_neighbours() -> None:
    times_s = np.arange(0, 7200, 0.5)
    doubt = np.zeros(len(times_s))
    doubt[100:140] = np.linspace(1, 2, 40)  # 20 s of the first hour
    doubt[[9000, 9001, 12000]] = 0.5, 0.7, 0.6  # of the second
    chosen = queue(times_s, doubt, 3)
    assert chosen.tolist() == [139, 135, 131, 9001, 12000]
    assert queue(times_s, doubt, 1).tolist() == [139, 9001]
    assert not len(queue(times_s, np.zeros(len(times_s)), 3))
    assert not len(queue(times_s[:0], doubt[:0], 3))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in which the network is sure, but for frames 5 and 28."""
    usual = recorded.step

    def step(frame: int) -> recorded.Step:
        made = usual(frame)
        sure = np.full((1, 2), 0.95, np.float32)
        if frame == 5:
            sure[0, 1] = 0.25
        flags = {"nose": "jump", "tail": "held"} if frame == 28 else {}
        pose = replace(made.pose, confidence=sure)
        return replace(made, pose=pose, flags=flags)

    monkeypatch.setattr(recorded, "step", step)
    return recorded.record(tmp_path / "run")


def test_low_confidence_and_rejected_points_are_reasons(run: Path) -> None:
    (found,) = queued_frames(run)
    assert found.video == run / "top.mkv"
    told = dict(zip(found.rows.tolist(), found.reasons, strict=True))
    assert told == {
        5: "tail has confidence 0.25",
        28: "[Tracking] rejected nose",
    }
    assert [len(each.rows) for each in queued_frames(run, 1)] == [1]


def test_the_program_puts_them_first_in_the_book_with_the_reason(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    assert PickFrames.main([str(run), "--into", str(labels), "--queue"]) == 0
    assert "2 uncertain frames of top.mkv" in capsys.readouterr().out
    book = open_book(labels, ["nose", "tail"])
    assert sorted(book.reasons.values()) == [
        "[Tracking] rejected nose",
        "tail has confidence 0.25",
    ]
    assert book.names == list(book.reasons), "the most uncertain first"
    before = [file.read_bytes() for file in sorted(run.iterdir())]
    assert PickFrames.main([str(run), "--into", str(labels), "--queue"]) == 0
    assert [file.read_bytes() for file in sorted(run.iterdir())] == before


def test_a_run_without_a_video_says_what_to_record(tmp_path: Path) -> None:
    run = recorded.record(tmp_path / "run", range(0))
    with pytest.raises(DeepLabStreamError, match="record a video to label them"):
        list(queued_frames(run))
