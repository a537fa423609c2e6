"""Retention of videos: what may be deleted, what never, and that a run knows of it."""

import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.frame import ImageFormat
from deeplabstream.programs.prune_videos import PROGRAM
from deeplabstream.recording import video_retention
from deeplabstream.recording.audit_files import (
    AuditClip,
    AuditFacts,
    GivenVerdict,
    append_verdicts,
)
from deeplabstream.recording.deleted_videos import DELETED, deleted_videos
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.run_collection import is_collected
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_schema import AUDIT
from deeplabstream.recording.video_retention import (
    RecordedVideo,
    chosen_videos,
    closed_videos,
)
from deeplabstream.recording.video_writer import VideoWriter
from tests.recording.new_runs import new_run

needs_rclone = pytest.mark.skipif(
    shutil.which("rclone") is None, reason="rclone is not installed"
)
needs_shell = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows runs no shell scripts"
)
DAY_S = 86400
NOW_S = 1_764_000_000.0
FRAMES = 3
CLIP = AuditClip(
    number=1,
    kind="trigger",
    name="left",
    animal="",
    answer=True,
    camera="top",
    frame=5,
    time_s=1.0,
    stratum="left",
)
FACTS = AuditFacts(run="run", started="", application="", networks={}, settings={})


def record(folder: RunFolder, age_days: float, closed: bool = True) -> VideoWriter:
    """Record a part of a video; each begins 1 s after the one before."""
    path = folder.new_video_path("top")
    number = len([*folder.path.glob("*.mkv")])
    video = VideoWriter(path, ImageFormat((48, 64), 30.0))
    for index in range(FRAMES):
        time_ns = 2_000_000_000 + number * 1_000_000_000 + index * 33_000_000
        video.write(np.zeros((48, 64), np.uint8), index, time_ns, time_ns)
    if closed:
        video.close()
        os.utime(path, (NOW_S, NOW_S - age_days * DAY_S))
    return video


def names(videos: list[RecordedVideo]) -> list[str]:
    return sorted(video.path.name for video in videos)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run of three closed parts, 30, 20 and 0 days old, that has ended."""
    folder = new_run(tmp_path / "runs")
    for age in (30, 20, 0):
        record(folder, age)
    folder.update(ended="2026-11-25T12:00:00+00:00", how="stopped")
    return folder


def test_all_closed_videos_of_an_ended_run_may_be_deleted(run: RunFolder) -> None:
    assert names(closed_videos(run.path)) == ["top.mkv", "top_2.mkv", "top_3.mkv"]


def test_the_newest_video_of_a_running_run_may_not(run: RunFolder) -> None:
    run.update(ended=None)
    assert names(closed_videos(run.path)) == ["top.mkv", "top_2.mkv"]


def test_what_the_program_has_not_recorded_and_closed_may_not(
    run: RunFolder, tmp_path: Path
) -> None:
    (run.path / "other.mkv").write_bytes(b"somebody's")
    (run.path / "top_labelled.mkv").write_bytes(b"drawn")
    elsewhere = tmp_path / "elsewhere.mkv"
    (run.path / "top_2.mkv").rename(elsewhere)
    (run.path / "top_2.mkv").symlink_to(elsewhere)
    open_one = record(run, 0, closed=False)
    assert names(closed_videos(run.path)) == ["top.mkv", "top_3.mkv"]
    open_one.close()

    run.update(imported={"file": "top.mkv"})
    assert closed_videos(run.path) == []


def test_videos_older_than_the_newest_by_the_limit_go_the_oldest_first(
    run: RunFolder,
) -> None:
    videos = closed_videos(run.path)

    def chosen(now_s: float = NOW_S, free: int = 0, **rules: object) -> list[str]:
        picked = RetentionRules(**rules)  # type: ignore[arg-type]
        return [it.path.name for it in chosen_videos(videos, picked, now_s, free)]

    assert chosen() == []
    assert chosen(keep_days=14) == ["top.mkv", "top_2.mkv"]
    assert chosen(keep_days=25) == ["top.mkv"]
    assert chosen(keep_days=0) == ["top.mkv", "top_2.mkv"]
    # a clock that is years ahead, or behind
    assert chosen(NOW_S + 4000 * DAY_S, keep_days=25) == ["top.mkv"]
    assert chosen(NOW_S - 4000 * DAY_S, keep_days=14) == []
    # only as many as are needed
    size = videos[0].size
    assert chosen(keep_days=14, free_bytes=10**6, free=10**6 - size // 2) == ["top.mkv"]
    assert chosen(keep_days=14, free_bytes=10**6, free=10**6) == []


def test_runs_that_were_not_exported_can_be_kept(run: RunFolder) -> None:
    rules = RetentionRules(keep_days=14, exported_only=True)
    videos = closed_videos(run.path)
    assert chosen_videos(videos, rules, NOW_S, 0) == []
    export = run.path / "export"
    export.mkdir()
    (export / ".top.dlc.x1").mkdir()
    assert chosen_videos(videos, rules, NOW_S, 0) == [], "nothing is complete"
    (export / "top.dlc.csv").touch()
    assert len(chosen_videos(videos, rules, NOW_S, 0)) == 2
    (export / "run.nwb").touch()
    assert chosen_videos(videos, rules, NOW_S, 0) == [], "NWB refers to the videos"


def test_one_run_under_a_wrong_clock_does_not_make_all_others_old(
    tmp_path: Path,
) -> None:
    def video(run: str, age_days: float) -> RecordedVideo:
        path = tmp_path / run / "top.mkv"
        return RecordedVideo(path, path, 1000, NOW_S - age_days * DAY_S)

    rules = RetentionRules(keep_days=14)
    runs = [video("first", 20), video("second", 3), video("third", 0)]
    chosen = chosen_videos([*runs, video("wrong", -4000)], rules, NOW_S, 0)
    assert chosen == [runs[0]]
    later_s = NOW_S + 4001 * DAY_S
    assert chosen_videos([*runs[1:], video("wrong", -4000)], rules, later_s, 0) == []


def test_parts_of_a_long_run_get_old_although_an_earlier_run_ended_before_it(
    run: RunFolder, tmp_path: Path
) -> None:
    """As in a run of weeks after a short trial."""
    for age in (0, 0):
        record(run, age)
    run.update(ended=None)
    videos = closed_videos(run.path)
    assert [it.before_newest_s for it in videos] == [3, 2, 1, 0]
    trial = RecordedVideo(
        tmp_path / "trial" / "top.mkv", tmp_path, 1, NOW_S - 90 * DAY_S
    )
    rules = RetentionRules(keep_days=1.5 / DAY_S)
    assert names(chosen_videos([trial, *videos], rules, NOW_S, 0)) == [
        "top.mkv",
        "top_2.mkv",
    ]
    full = RetentionRules(free_bytes=10**12)
    kept = {*videos} - {*chosen_videos([trial, *videos], full, NOW_S, 0)}
    assert names([*kept]) == ["top_4.mkv"], "the newest closed one; top_5 is open"


def test_videos_with_marks_and_edges_can_be_kept(run: RunFolder) -> None:
    head = "time_s,kind,camera,frame,name,level,cause,exposed_ns,arrived_ns,posed_ns,"
    head += "decided_ns,written_ns,acted_ns,acked_ns,device_us,text\n"
    edge = "1.03,edge,,39,laser,1.0,plan,,,,2030000000,2031000000,,,,"
    note = "2.01,note,,,camera,,,,,,,,,,,late"
    run.events_path.write_text(f"{head}{edge}\n{note}\n")
    videos = closed_videos(run.path)
    rules = RetentionRules(keep_days=14, keep_events=True)
    assert names(chosen_videos(videos, rules, NOW_S, 0)) == ["top_2.mkv"]


def test_no_video_of_a_run_with_an_open_audit_is_deleted(run: RunFolder) -> None:
    path = run.path / AUDIT
    path.write_text("{")
    assert closed_videos(run.path) == [], "it can't be read"

    sample = {
        "clips": [asdict(CLIP), asdict(replace(CLIP, number=2))],
        "strata": [],
        "seed": 0,
        "facts": asdict(FACTS),
        "experiment_s": [],
        "not_recorded": 0,
    }
    path.write_text(json.dumps({"schema": 1, "sample": sample, "verdicts": []}))
    given = [
        GivenVerdict(clip=number, rater="anna", verdict="right") for number in (1, 2)
    ]
    append_verdicts(run.path, given[:1])
    assert closed_videos(run.path) == []
    append_verdicts(run.path, given[1:])
    assert len(closed_videos(run.path)) == 3
    undo = GivenVerdict(rater="anna", verdict="undo", undoes=2)
    append_verdicts(run.path, [undo])
    assert closed_videos(run.path) == []


@needs_rclone
def test_what_was_not_collected_with_equal_checksums_is_kept(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    words = "--delete", "--collected-to", str(there)
    assert prune(run, *words) == 1
    told = capsys.readouterr().out
    assert f"{run.path}: videos are kept, rclone does not find them in {there}" in told

    copy = Path(shutil.copytree(run.path, there / run.path.name)) / "top.mkv"
    content = copy.read_bytes()
    copy.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of equal size
    assert prune(run, *words) == 1
    assert len([*run.path.glob("*.mkv")]) == 3

    copy.write_bytes(content)
    assert prune(run, *words) == 0
    assert [path.name for path in run.path.glob("*.mkv")] == ["top_3.mkv"]


@needs_shell
def test_equal_sizes_are_no_proof_of_a_copy(tmp_path: Path) -> None:
    stand_in, video = tmp_path / "rclone", tmp_path / "run" / "top.mkv"
    stand_in.write_text(
        "#!/bin/sh\necho '= top.mkv'\necho '2 hashes could not be checked' >&2\n"
    )
    stand_in.chmod(0o755)
    assert not is_collected(video, "there", str(stand_in))
    stand_in.write_text("#!/bin/sh\necho '= top.mkv'\n")
    assert is_collected(video, "there", str(stand_in))
    stand_in.write_text("#!/bin/sh\necho '= top.mkv'\nexit 1\n")
    assert not is_collected(video, "there", str(stand_in))
    stand_in.write_text("#!/bin/sh\n")
    assert not is_collected(video, "there", str(stand_in)), "it was not compared"


def test_nothing_is_deleted_without_rclone(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert prune(run, "--delete", "--collected-to", "/there") == 2
    assert "rclone is not installed" in capsys.readouterr().err
    assert len([*run.path.glob("*.mkv")]) == 3


def prune(run: RunFolder, *words: str) -> int:
    return PROGRAM.main([str(run.path.parent), "--keep-days", "14", *words])


def test_nothing_is_deleted_without_the_option(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prune(run) == 0
    assert len([*run.path.glob("*.mkv")]) == 3
    assert not (run.path / DELETED).exists()
    assert "2 videos, 0.000 GB, would be deleted" in capsys.readouterr().out


def test_a_run_names_its_deleted_videos_and_is_not_damaged(run: RunFolder) -> None:
    tables = {path.name: path.read_bytes() for path in run.path.glob("*.frames.csv")}
    assert prune(run, "--delete") == 0
    assert [path.name for path in run.path.glob("*.mkv")] == ["top_3.mkv"]
    accounts = deleted_videos(run.path)
    assert [*accounts] == ["top.mkv", "top_2.mkv"]
    assert accounts["top.mkv"]["frames"] == FRAMES
    assert accounts["top.mkv"]["rule"] == "older than 14 days"

    # a repair takes no deleted video for a lost one, also of a run that was killed
    for ended in (run.facts["ended"], None):
        run.update(ended=ended)
        report = repair(run.path)
        assert report.missing == 0
        assert not any("missing" in text for text in report.done)
    (account,) = run.facts["accounting"]
    assert account["recorded"] == 3 * FRAMES
    for name, content in tables.items():
        assert (run.path / name).read_bytes() == content

    # the next part gets a name of its own
    assert run.new_video_path("top").name == "top_4.mkv"
    assert prune(run, "--delete") == 0
    assert [*deleted_videos(run.path)] == ["top.mkv", "top_2.mkv"]


def test_a_run_that_can_not_be_read_is_not_touched(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.path / "run.json").write_text("{")
    assert prune(run, "--delete") == 1
    assert "not touched" in capsys.readouterr().out
    assert len([*run.path.glob("*.mkv")]) == 3


def test_a_video_whose_account_can_not_be_written_is_kept(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.path / DELETED).write_text("{")
    assert prune(run, "--delete") == 1
    assert "kept" in capsys.readouterr().out
    assert len([*run.path.glob("*.mkv")]) == 3
    assert (run.path / DELETED).read_text() == "{"


def test_evidence_bundles_are_left_alone(run: RunFolder) -> None:
    (run.path / "manifest-sha256.txt").touch()
    assert prune(run, "--delete") == 0
    assert len([*run.path.glob("*.mkv")]) == 3


def test_the_account_says_when_it_was_deleted(run: RunFolder) -> None:
    prune(run, "--delete")
    found = json.loads((run.path / DELETED).read_text())
    deleted = datetime.fromisoformat(found["top.mkv"]["deleted"])
    assert abs((datetime.now(UTC) - deleted).total_seconds()) < 3600


def test_two_rigs_with_the_same_folder_delete_each_video_once(
    run: RunFolder,
) -> None:
    """The second one has listed the videos before the first one deletes them."""
    now = datetime.fromtimestamp(NOW_S, UTC)
    boxes = [
        video_retention.prune(run.path.parent, RetentionRules(keep_days=14), now)
        for _ in "ab"
    ]
    told = [next(box).path.name for box in boxes]
    told += [pruned.path.name for box in boxes for pruned in box]
    assert sorted(told) == ["top.mkv", "top_2.mkv"]
    assert sorted(deleted_videos(run.path)) == sorted(told)


def test_two_boxes_on_the_same_disk_free_no_more_than_is_asked(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in (29, 28, 27):
        record(run, age)
    all_of_it = sum(it.size for it in closed_videos(run.path))

    def free(folder: Path) -> int:
        return all_of_it - sum(it.stat().st_size for it in run.path.glob("*.mkv"))

    monkeypatch.setattr(video_retention, "free_bytes", free)
    oldest = sorted(closed_videos(run.path), key=lambda it: it.closed_s)
    two = sum(it.size for it in oldest[:2])
    rules = RetentionRules(free_bytes=two)
    now = datetime.fromtimestamp(NOW_S, UTC)
    boxes = [video_retention.prune(run.path.parent, rules, now) for _ in "ab"]
    told = [next(box).path.name for box in boxes]
    told += [pruned.path.name for box in boxes for pruned in box]
    assert told == ["top.mkv", "top_4.mkv"]
