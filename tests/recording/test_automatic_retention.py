"""Retention rules of the settings are applied by a process while a rig records."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.session import messages
from deeplabstream.recording.automatic_retention import (
    PAUSE_NS,
    AutomaticRetention,
    RetentionReport,
)
from deeplabstream.recording.deleted_videos import deleted_videos
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import parse
from deeplabstream.video.recording_options import RecordingOptions
from tests.engine.stream import Rig, recording
from tests.recording.new_runs import FACTS, STARTED

DAY_S = 86400
PATIENCE_S = 60
RULES = RetentionRules(keep_days=14)


def recorded_run(root: Path, name: str, age_days: float) -> RunFolder:
    """Return a run that has ended, with a video of this age."""
    folder = RunFolder.create(root, STARTED, "[Streaming]\n", FACTS, name)
    path = folder.new_video_path("top")
    with VideoWriter(path, ImageFormat((48, 64), 30.0)) as video:
        video.write(np.zeros((48, 64), np.uint8), 0, 2_000_000_000, 2_000_000_000)
    changed_s = path.stat().st_mtime - age_days * DAY_S
    os.utime(path, (changed_s, changed_s))
    folder.update(ended="2026-11-25T12:00:00+00:00", how="stopped")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder of four runs whose videos are 30, 20, 0 and 0 days old."""
    root = tmp_path / "runs"
    for name, age in (("a", 30), ("b", 20), ("c", 0), ("d", 0)):
        recorded_run(root, name, age)
    return root


def videos(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/top.mkv"))


def worked(retention: AutomaticRetention) -> list[RetentionReport]:
    """Wait until the rules have been applied; return the reports."""
    reports = retention.work()
    assert retention._reader is not None
    retention._reader.join(PATIENCE_S)
    reports += retention.work()
    assert retention._process is None
    return reports


def test_old_videos_are_deleted_when_a_video_ends_and_each_is_reported(
    runs: Path,
) -> None:
    clock = ManualClock()
    retention = AutomaticRetention(runs, RULES, clock)
    assert retention.work() == [], "nothing is done before it is requested"
    assert videos(runs) == ["a", "b", "c", "d"]
    retention.request()
    texts = [report.text for report in worked(retention)]
    assert videos(runs) == ["c", "d"]
    assert [text.partition(" (")[0] for text in texts] == [
        "deleted a/top.mkv",
        "deleted b/top.mkv",
    ]
    assert texts[0].endswith("MB): older than 14 days")
    assert [*deleted_videos(runs / "a")] == ["top.mkv"]

    # not again at once
    recorded_run(runs, "e", 30)
    retention.request()
    assert retention.work() == [] and retention._process is None
    clock.set(PAUSE_NS)
    assert [report.text[:17] for report in worked(retention)] == ["deleted e/top.mkv"]
    retention.close()


def test_without_rules_no_process_is_started(runs: Path) -> None:
    retention = AutomaticRetention(
        runs, RetentionRules(keep_events=True), ManualClock()
    )
    retention.request()
    assert retention.work() == [] and retention._process is None
    assert retention.close() == []
    assert videos(runs) == ["a", "b", "c", "d"]


def test_a_problem_is_reported_once(runs: Path) -> None:
    clock = ManualClock()
    (runs / "a" / "run.json").write_text("{")
    rules = RetentionRules(free_bytes=10**18, collected_to=str(runs.parent / "there"))
    retention = AutomaticRetention(runs, rules, clock)
    retention.request()
    reports = worked(retention)
    assert all(report.problem for report in reports)
    texts = " ".join(report.text for report in reports)
    assert "a: not touched, it can't be read" in texts
    assert "there" in texts or "rclone is not installed" in texts
    assert videos(runs) == ["a", "b", "c", "d"]
    retention.request()
    clock.set(PAUSE_NS)
    assert worked(retention) == []
    retention.close()


def test_a_disk_that_stays_too_full_is_a_problem(runs: Path) -> None:
    retention = AutomaticRetention(
        runs, RetentionRules(free_bytes=10**18), ManualClock()
    )
    retention.request()
    reports = worked(retention)
    retention.close()
    assert videos(runs) == ["c", "d"], "the newest are always kept"
    assert reports[-1] == RetentionReport(
        f"{runs}: less than 1e+09 GB are free, and the rules keep all other videos",
        True,
    )


def test_an_error_of_the_process_is_reported(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplabstream.recording.automatic_retention.ROOT", runs)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(
        "deeplabstream.recording.automatic_retention.__name__", "no_such_module"
    )
    retention = AutomaticRetention(runs, RULES, ManualClock())
    retention.request()
    (report,) = worked(retention)
    assert report.problem and "No module named no_such_module" in report.text
    retention.close()


@pytest.fixture
def held(runs: Path) -> Iterator[AutomaticRetention]:
    """Return a retention whose process is stopped."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such pipes and signals")
    retention = AutomaticRetention(runs, RULES, ManualClock())
    retention.request()
    retention.work()
    assert retention._process is not None
    os.kill(retention._process.pid, signal.SIGSTOP)
    yield retention
    retention.close()


def test_the_end_of_a_run_does_not_wait_for_the_process(
    held: AutomaticRetention,
) -> None:
    process = held._process
    assert process is not None
    held.close()
    assert process.returncode == -signal.SIGKILL
    assert held.work() == [] and held._process is None


def test_the_process_ends_with_the_recorder(held: AutomaticRetention) -> None:
    process = held._process
    assert process is not None and process.stdin is not None
    process.stdin.close()  # as the system does at the end of the recorder
    os.kill(process.pid, signal.SIGCONT)
    process.wait(PATIENCE_S)


def open_run(rig: Rig, root: Path) -> None:
    rig.tell(messages.OpenRun(root, "[Streaming]\n", {}, "z", RULES))


def test_a_recorder_applies_the_rules_and_writes_each_deletion_into_its_run(
    runs: Path,
) -> None:
    with recording(runs.parent) as rig:
        open_run(rig, runs)
        rig.tell(messages.StartRecording(("top",), RecordingOptions()))
        rig.expose(0, 1)
        rig.recorder._takes._recordings["top"].stop()
        rig.recorder._takes._recordings["top"].accounts()
        rig.tell()
        assert rig.recorder._retention._reader is not None
        rig.recorder._retention._reader.join(PATIENCE_S)
        rig.tell()
        assert videos(runs) == ["c", "d", "z"]
        rig.tell(messages.CloseRun("stopped"))
        notes = [row for row in rig.folder.events() if row["name"] == "retention"]
        assert [row["text"].partition(" (")[0] for row in notes] == [
            "deleted a/top.mkv",
            "deleted b/top.mkv",
        ]
        assert not rig.of(messages.ProblemReport)
        assert rig.accounting[0]["closes"]


def test_the_process_has_the_lowest_priority(held: AutomaticRetention) -> None:
    process = held._process
    assert process is not None
    os.kill(process.pid, signal.SIGCONT)
    lowest, give_up_s = 0, perf_counter() + PATIENCE_S
    while lowest < 19 and perf_counter() < give_up_s:
        try:
            lowest = max(lowest, int(psutil.Process(process.pid).nice()))
        except psutil.NoSuchProcess:
            break
    assert lowest == 19


RIG = """
[Camera top]
KIND = SimulatedCamera
"""


def test_rules_are_off_by_default_and_read_from_the_settings(tmp_path: Path) -> None:
    assert not parse(RIG, tmp_path).retention.rules
    section = "[Retention]\nKEEP_DAYS = 14\nFREE_GB = 200\nKEEP_EVENTS = yes\n"
    rules = parse(RIG + section + "COLLECTED_TO = archive:lab\n", tmp_path).retention
    assert rules.rules == RetentionRules(
        14, 200_000_000_000, False, True, "archive:lab"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("KEEP_EVENTS = yes", "add KEEP_DAYS, FREE_GB or both"),
        ("KEEP_DAYS = 0", "KEEP_DAYS"),
        ("FREE_GB = 0.5", "recording stops before, at .* MIN_FREE_MB = 500"),
        ("KEEP_DAYS = 1\nCOLLECTED_TO = archive", "expected a whole path, or REMOTE"),
        ("KEEP_DAYS = 1\nCOLLECTED_TO = -v:there", "expected a whole path, or REMOTE"),
    ],
)
def test_rules_that_can_not_work_are_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        parse(f"{RIG}[Retention]\n{text}\n", tmp_path)
