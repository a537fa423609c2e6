import json

import numpy as np
import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.startup.progress import MARK, VARIABLE
from deeplabstream.training.callbacks import StepProgress, ValidationResult
from deeplabstream.training.progress_reporting import JsonProgressReporter, Progress


def test_steps_are_told_four_a_second_with_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    reporter = JsonProgressReporter(1000, (), clock)
    for step in range(1, 41):
        clock.set(step * 100_000_000)
        reporter(StepProgress(step, 1 / step))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines[:3]] == [3, 6, 9]
    assert lines[-1]["left_s"] == pytest.approx(0.1 * (1000 - lines[-1]["step"]))
    assert lines[-1]["loss"] == pytest.approx(1 / lines[-1]["step"], rel=1e-3)


def test_some_held_out_pictures_are_told_with_what_was_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = JsonProgressReporter(
        10, tuple(f"img{n}.png" for n in range(20)), ManualClock()
    )
    points = np.zeros((20, 2, 2), np.float32)
    points[:, 0] = [1.234, 5]
    points[:, 1] = np.nan
    reporter.report_validation(ValidationResult(5, points, 3.21))
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["error_px"], len(told["found"])) == (5, 3.21, 6)
    assert told["found"]["img0.png"] == [[1.23, 5.0], None]
    assert "img19.png" in told["found"]


def test_a_training_that_the_window_started_reports_lines_not_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    Progress(20)(StepProgress(1, 0.5))
    assert capsys.readouterr().out == f"{MARK}1 20 training\n"
    Progress(20, quiet=True)(StepProgress(1, 0.5))
    assert capsys.readouterr().out == ""
