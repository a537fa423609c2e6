"""Missed days: a day without a run is found, and counts where a run was planned daily."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from deeplabstream.analysis.missed_days import days_without_run, missed_spans
from deeplabstream.analysis.uptime import RunUptime
from deeplabstream.core.daily_span import read_daily_span
from deeplabstream.programs.report_uptime import PROGRAM
from tests.analysis.test_uptime import run
from tests.recording.new_runs import STARTED

NIGHT = read_daily_span("19:00 - 07:00")


def night(day: int, *, hours: float = 12.0, before_s: float = 0.0) -> RunUptime:
    """Return the uptime of a run from 19:00 at 10 exposures/s."""
    planned_s = hours * 3600 + before_s
    return RunUptime(
        name=f"night {day}",
        started=datetime(2026, 11, day, 19, tzinfo=UTC),
        ended="stopped",
        planned_s=planned_s,
        recorded_s=hours * 3600,
        with_row=round(hours * 36_000),
        counted=0,
        missing=round(before_s * 10),
        gaps=(),
        restarts=0,
        alarm_s=0.0,
        before_s=before_s,
    )


def test_nights_without_a_run_are_planned_and_all_their_exposures_missing() -> None:
    missed = missed_spans([night(2), night(5)], NIGHT, UTC)
    assert [it.name for it in missed] == ["no run 2026-11-03", "no run 2026-11-04"]
    assert [it.started for it in missed] == [
        datetime(2026, 11, day, 19, tzinfo=UTC) for day in (3, 4)
    ]
    for it in missed:
        assert (it.planned_s, it.recorded_s) == (43_200.0, 0.0)
        assert (it.with_row, it.missing, it.accounted) == (0, 432_000, 0.0)
        assert it.gaps[0].reason == "no run began (19:00 - 07:00)"


def test_the_gap_before_a_restart_is_not_counted_again() -> None:
    two_days_s = 2 * 86_400 - 12 * 3600
    runs = [night(2), night(4, before_s=two_days_s)]
    assert missed_spans(runs, NIGHT, UTC) == []
    assert days_without_run(runs, UTC) == []


def test_a_run_over_several_days_leaves_out_none() -> None:
    runs = [night(2, hours=80), night(6)]
    assert missed_spans(runs, NIGHT, UTC) == []
    assert days_without_run(runs, UTC) == []


def test_days_before_the_first_run_and_after_the_last_one_are_not_counted() -> None:
    assert missed_spans([night(2)], NIGHT, UTC) == []
    assert days_without_run([], UTC) == days_without_run([night(2)], UTC) == []


def test_a_day_has_no_run_if_none_reaches_into_it() -> None:
    assert days_without_run([night(2), night(5)], UTC) == [date(2026, 11, 4)]


def test_the_program_names_the_days_and_counts_them_when_a_time_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "first", range(100))
    run(tmp_path, "last", range(100), started=STARTED + timedelta(days=3))
    file = tmp_path / "uptime.json"
    words = [str(tmp_path), "--json", str(file), "--overwrite"]

    assert PROGRAM.main(words) == 0
    out = capsys.readouterr().out
    assert "no run on 2 days between the first and the last: " in out
    assert "--daily counts them" in out
    assert json.loads(file.read_text())["total"]["missing"] == 0

    begin = (STARTED + timedelta(hours=1)).astimezone()
    span = f"{begin:%H:%M} - {begin + timedelta(hours=2):%H:%M}"
    assert PROGRAM.main([*words, "--daily", span]) == 0
    out = capsys.readouterr().out
    assert "no run began" in out and "--daily" not in out
    content = json.loads(file.read_text())
    assert len(content["days_without_run"]) == 2
    missed = [entry for entry in content["runs"] if entry["name"].startswith("no run")]
    assert len(missed) == 3, "also on the first day, whose run was over by then"
    assert content["total"]["missing"] == pytest.approx(3 * 7200 * 10, rel=0.02)


def test_a_time_that_is_none_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "a", range(10))
    with pytest.raises(SystemExit):
        PROGRAM.main([str(tmp_path), "--daily", "at night"])
    assert "expected two times of day, such as 19:00 - 07:00" in capsys.readouterr().err
