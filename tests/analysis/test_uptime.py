"""Uptime of runs: every exposure is found once, and each gap has its length and reason."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deeplabstream.analysis.uptime import RunUptime, measure_uptime
from deeplabstream.analysis.uptime_record import INTERRUPTED, RESTARTED
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note
from deeplabstream.programs.report_uptime import PROGRAM
from deeplabstream.rack.box_restart import Interruption, Restart
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import VIDEO
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.new_runs import FACTS, STARTED

RATE = 10
GOLDEN = sorted(
    path.parent for path in Path(__file__).parents[1].glob("golden/*/*/run.json")
)


def run(
    root: Path,
    name: str,
    frames: Iterable[int],
    *,
    begin_s: float = 0.0,
    notes: Iterable[tuple[float, str, str]] = (),
    how: str | None = "stopped",
    lost: int | None = 0,
    settings: str = "",
    started: datetime = STARTED,
    part: int = 40,
) -> RunFolder:
    """Write a run of frames at 10/s, in files of some frames; times count from `begin_s`."""
    start_ns = round(1e9 + begin_s * 1e9)
    facts = replace(
        FACTS,
        start_ns=start_ns,
        cameras={"top": ImageFormat((48, 64), float(RATE))},
        more={"started_ns": start_ns},
    )
    folder = RunFolder.create(root, started, settings, facts, name)
    frames = [*frames]
    for first in range(0, len(frames), part):
        table = CsvTable(
            folder.new_video_path("top").with_suffix(".frames.csv"), VIDEO.names
        )
        for number, frame in enumerate(frames[first : first + part]):
            time_ns = start_ns + round(frame * 1e9 / RATE)
            row = {"video_frame": number, "frame": frame, "exposed_ns": time_ns}
            table.write_cells({**row, "arrived_ns": time_ns, "device_id": ""})
        table.close()
    writer = RunWriter(folder, start_ns)
    for time_s, kind, text in notes:
        writer.entry(Note(kind, text, start_ns + round(time_s * 1e9)))
    writer.close()
    count = FrameCounts(
        "top", "recording", len(frames), lost, recorded=len(frames), recording_losses=0
    )
    if how is not None:
        folder.finish(started + timedelta(minutes=1), how, [count])
    return folder


def uptime(*folders: RunFolder) -> list[RunUptime]:
    runs, failed = measure_uptime([folder.path for folder in folders])
    assert failed == []
    return runs


def test_exposures_of_a_whole_run_are_all_accounted_for(tmp_path: Path) -> None:
    (found,) = uptime(run(tmp_path, "a", range(500)))
    assert (found.exposures, found.with_row, found.missing) == (500, 500, 0)
    assert found.planned_s == found.recorded_s == pytest.approx(49.9)
    assert (found.accounted, found.gaps, found.restarts) == (1.0, (), 0)
    assert found.alarm_s == 0.0


def test_an_exposure_in_two_tables_counts_once(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", range(20))
    video = (folder.path / "top.frames.csv").read_text().splitlines()[1:]
    rows = [",".join(["", *line.split(",")[1:3]]) for line in video]
    table = "frame,time_s,exposed_ns,arrived_ns,analysed\n"
    for row in [*rows, f",20,{1_000_000_000 + 2_000_000_000}"]:
        _, frame, time_ns = row.split(",")
        table += f"{frame},0.0,{time_ns},{time_ns},0\n"
    (folder.path / "top.csv").write_text(table)
    (found,) = uptime(folder)
    assert found.with_row == found.exposures == 21


def test_a_gap_has_its_length_its_reason_and_its_missing_exposures(
    tmp_path: Path,
) -> None:
    frames = [*range(100), *range(100, 200)]
    times = [number if number < 100 else number + 100 for number in frames]
    text = "[Camera top] delivers no frames"
    folder = run(
        tmp_path, "a", times, notes=[(5.0, "user", "hello"), (12.0, "camera", text)]
    )
    (found,) = uptime(folder)
    (gap,) = found.gaps
    assert (gap.begin_s, gap.seconds) == (pytest.approx(9.9), pytest.approx(10.1))
    assert gap.reason == text
    assert (found.with_row, found.missing) == (200, 100)
    assert found.accounted == pytest.approx(2 / 3)
    assert found.recorded_s == pytest.approx(29.9 - 10.1)


def test_losses_that_the_account_counts_are_accounted_for(tmp_path: Path) -> None:
    frames = [number for number in range(100) if number % 10]
    counted, silent = (
        run(tmp_path, name, frames, lost=lost) for name, lost in (("a", 9), ("b", None))
    )
    found, unknown = uptime(counted, silent)
    assert (found.with_row, found.counted, found.missing) == (90, 9, 0)
    assert found.accounted == 1.0
    assert (unknown.counted, unknown.missing) == (0, 9)
    assert unknown.accounted == pytest.approx(90 / 99)


def restarted(root: Path, by_rack: bool) -> list[RunFolder]:
    """Write a run that was killed after 10 s, and the one after it, 30 s later."""
    killed = run(root, "first", range(100), how="killed", lost=None)
    cause: Restart | Interruption = Interruption(
        last_report="2026-11-21 11:59:05", run_folder=str(killed.path)
    )
    if by_rack:
        cause = Restart(
            number=1,
            limit=3,
            cause="was killed by SIGKILL",
            ended_ns=11_000_000_000,
            run_folder=str(killed.path),
        )
    note = (0.5, "rack", cause.sentence(40_000_000_000))
    after = run(
        root,
        "second",
        range(100),
        begin_s=39.9 if by_rack else -0.5,
        notes=[note],
        started=STARTED + timedelta(seconds=39.9),
    )
    return [after, killed]


@pytest.mark.parametrize("by_rack", [True, False])
def test_the_gap_before_a_restart_is_planned_time(
    tmp_path: Path, by_rack: bool
) -> None:
    first, second = uptime(*restarted(tmp_path, by_rack))
    assert (first.name, first.gaps, first.restarts) == ("first", (), 0)
    (gap,) = second.gaps
    assert gap.seconds == pytest.approx(30.0, abs=1e-3)
    assert ("SIGKILL" if by_rack else "interruption, such as a power cut") in gap.reason
    assert second.restarts == 1
    assert second.planned_s == pytest.approx(39.9, abs=1e-3)
    assert (second.with_row, second.missing) == (100, 300)


def test_a_restart_whose_run_before_is_elsewhere_has_the_gap_of_its_note(
    tmp_path: Path,
) -> None:
    (second,) = uptime(restarted(tmp_path, by_rack=True)[0])
    (gap,) = second.gaps
    assert gap.seconds == 29.0
    (other,) = uptime(restarted(tmp_path / "other", by_rack=False)[0])
    assert other.gaps[0].seconds == 0 and "time not known" in other.gaps[0].reason


def test_the_notes_of_restarts_are_recognised() -> None:
    restart = Restart(
        number=2, limit=3, cause="does not answer", ended_ns=0, run_folder="C:\\out\\a"
    )
    found = RESTARTED.fullmatch(restart.sentence(5_000_000_000))
    assert found is not None
    assert found.groups() == ("5.0", "the box does not answer", "C:\\out\\a")
    interruption = Interruption(last_report="2026-11-21 11:59:05", run_folder="/out/a")
    found = INTERRUPTED.fullmatch(interruption.sentence(0))
    assert found is not None and found["run"] == "/out/a"


def test_a_run_that_was_killed_is_planned_until_its_planned_minutes(
    tmp_path: Path,
) -> None:
    planned = "[Recording]\nPLANNED_MINUTES = 1\n"
    (found,) = uptime(
        run(tmp_path, "a", range(301), how="killed", lost=None, settings=planned)
    )
    (gap,) = found.gaps
    assert (found.planned_s, gap.seconds) == (60.0, pytest.approx(30.0))
    assert gap.reason == "the run has ended: killed"
    assert (found.with_row, found.missing) == (301, 300)
    (stopped,) = uptime(run(tmp_path, "b", range(301), settings=planned))
    assert stopped.planned_s == pytest.approx(30.0), "a user has stopped it"


def test_a_clock_that_was_set_changes_no_figure(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", range(500))
    folder.update(ended=(STARTED - timedelta(days=400)).isoformat())
    (found,) = uptime(folder)
    assert (found.planned_s, found.accounted) == (pytest.approx(49.9), 1.0)


def test_time_in_alarm_lasts_until_it_is_acknowledged_or_the_end(
    tmp_path: Path,
) -> None:
    notes = [
        (10.0, "alarms", "raised: disk"),
        (15.0, "alarms", "acknowledged"),
        (40.0, "alarms", "raised: camera"),
    ]
    (found,) = uptime(run(tmp_path, "a", range(500), notes=notes))
    assert found.alarm_s == pytest.approx(5.0 + 9.9)
    error = (10.0, "error", "a plug-in has failed")
    (none,) = uptime(
        run(tmp_path, "b", range(500), notes=[(0.0, "alarms", "none"), error])
    )
    assert none.alarm_s == 0.0


def test_of_an_older_run_with_alarms_the_time_in_alarm_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "a", range(500), notes=[(10.0, "error", "the laser has failed")])
    assert PROGRAM.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "not recorded" in lines[1] and "not recorded" in lines[2]


def test_a_run_without_frames_is_a_gap(tmp_path: Path) -> None:
    notes = [(60.0, "error", "no camera")]
    (found,) = uptime(run(tmp_path, "a", [], how="failed: no camera", notes=notes))
    assert (found.planned_s, found.recorded_s) == (60.0, 0.0)
    assert found.gaps[0].reason == "no camera"
    assert (found.exposures, found.missing) == (600, 600)


def test_a_late_camera_is_a_gap_at_the_begin(tmp_path: Path) -> None:
    (found,) = uptime(run(tmp_path, "a", range(200, 400)))
    assert found.gaps[0].seconds == pytest.approx(20.0)
    assert found.missing == 200


def test_damaged_lines_are_no_exposures_and_a_damaged_number_is_no_loss_of_millions(
    tmp_path: Path,
) -> None:
    folder = run(tmp_path, "a", range(100))
    table = folder.path / "top_2.frames.csv"
    lines = table.read_text().splitlines()
    lines[3] = "2,\0\0\0"
    cells = lines[5].split(",")
    lines[5] = ",".join([cells[0], "99999999999", *cells[2:]])
    table.write_text("\n".join(lines) + "\n10,50,1")
    (found,) = uptime(folder)
    assert found.with_row == 99
    assert found.exposures < 150


def test_runs_that_can_not_be_read_are_named_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "a", range(50))
    for name, content in (("b", "{"), ("c", "[]"), ("d", '{"cameras": 7}')):
        folder = run(tmp_path, name, range(50))
        (folder.path / "run.json").write_text(content)
    file = tmp_path / "uptime.json"
    assert PROGRAM.main([str(tmp_path), "--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert "b: not counted, it can't be read" in out
    content = json.loads(file.read_text())
    names = [entry["name"] for entry in content["runs"]]
    assert "a" in names and {Path(name).name for name in content["not_read"]} >= {"b"}
    assert content["total"]["exposures"] == sum(
        entry["exposures"] for entry in content["runs"]
    )


def test_the_table_has_a_total_and_each_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restarted(tmp_path, by_rack=True)
    file = tmp_path / "uptime.json"
    assert PROGRAM.main([str(tmp_path), "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["run", "planned", "recorded", "exposures"]
    assert lines[3].split()[0] == "total" and "40.000 %" in lines[3]
    assert lines[4] == "gap: second: 30.0 s: the box was killed by SIGKILL"
    total = json.loads(file.read_text())["total"]
    assert (total["with_row"], total["missing"], total["restarts"]) == (200, 300, 1)
    assert PROGRAM.main([str(tmp_path), "--json", str(file)]) == 2, "it exists"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_runs_of_earlier_versions_are_read(path: Path) -> None:
    runs, failed = measure_uptime([path])
    assert failed == [] and runs[0].with_row > 0
    assert runs[0].accounted == 1.0


def test_a_running_run_is_counted_up_to_its_last_frame(tmp_path: Path) -> None:
    (found,) = uptime(run(tmp_path, "a", range(100), how=None))
    assert (found.planned_s, found.ended) == (pytest.approx(9.9), "")
    assert datetime.now(UTC) > STARTED
