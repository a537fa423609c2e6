"""The run schema: docs, newer and older runs, and reading by column name."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.replay.rerun import rerun
from deeplabstream.recording.deleted_videos import DELETED
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_schema import (
    AUDIT,
    AUDIT_RESULTS,
    CORRECTIONS,
    EVENTS,
    FILES,
    MATCHES,
    MOMENTS,
    PULSES,
    REGIONS,
    TRIGGERS,
    VERSION,
    VIDEO,
    camera_columns,
)
from deeplabstream.recording.run_summary import NOTES
from tests.recording.recorded import SKELETON, record
from tests.recording.written_rows import rows
from tools.table_docs import generated
from utils.RepairRun import main as repair_run

PAGE = Path(__file__).parents[2] / "docs" / "run_folder.md"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_page_is_written_from_the_schema() -> None:
    page = PAGE.read_text("utf-8")
    assert generated(PAGE.name, page) == page, "run python -m tools.table_docs"


def test_what_is_written_is_what_the_schema_declares(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    headers = {
        "top.csv": camera_columns(SKELETON, ("in",)),
        "top.frames.csv": VIDEO.names,
        "triggers.csv": TRIGGERS.names,
        "events.csv": EVENTS.names,
    }
    for name, columns in headers.items():
        assert tuple(rows(run / name)[0]) == columns
    written = {name.replace("top", "CAMERA") for name in content(run)}
    assert written == {*FILES} - {
        NOTES,
        REGIONS,
        CORRECTIONS,
        AUDIT,
        AUDIT_RESULTS,
        PULSES.file,
        MATCHES.file,
        DELETED,
        "queue/",
        MOMENTS.file,
        "calibration/",
    }, "not every run has these"
    assert json.loads((run / "run.json").read_text("utf-8"))["schema"] == VERSION


OPENERS: list[Callable[[Path], object]] = [
    review,
    repair,
    rerun,
    lambda path: open_run_folder(path, lambda text: None),
    lambda path: export(path, ["dlc-csv"]),
]


@pytest.mark.parametrize("use", OPENERS)
@pytest.mark.parametrize("ended", [True, False])
def test_a_run_of_a_newer_program_is_refused_and_left_as_it_is(
    tmp_path: Path, use: Callable[[Path], object], ended: bool
) -> None:
    run = record(tmp_path / "run")
    RunFolder(run).update(schema=VERSION + 1, **({} if ended else {"ended": None}))
    before = content(run)
    with pytest.raises(DeviceError) as refusal:
        use(run)
    assert str(refusal.value) == (
        f"{run / 'run.json'}: schema = {VERSION + 1} is newer than this program, which "
        f"reads schemas 1 to {VERSION}; open the run with a newer DeepLabStream"
    )
    assert content(run) == before


def test_the_repair_program_goes_on_after_a_newer_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, ours = record(tmp_path / "newer"), record(tmp_path / "ours")
    RunFolder(newer).update(schema=VERSION + 1)
    assert repair_run([str(newer), str(ours)]) == 1
    told = capsys.readouterr().out
    assert "is newer than this program" in told
    assert f"{ours}: whole, nothing to do" in told


def test_a_run_of_schema_1_reads_with_the_names_of_today(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    table, facts = run / "top.csv", json.loads((run / "run.json").read_text("utf-8"))
    header, *lines = rows(table)
    header[header.index("flags")] = "doubts"
    lines[10][header.index("doubts")] = "nose jump+held"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])
    facts |= {"schema": 1, "identity": {"top": {"doubts": 2, "doubted_frames": 9}}}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    folder = open_run_folder(run, pytest.fail)
    steps = {step.index: step.flags for step in folder.steps("top")}
    assert steps[10] == {"nose": "jump+held"}
    assert folder.facts["identity"] == {
        "top": {"ambiguities": 2, "ambiguous_frames": 9}
    }
    assert "nose jump+held" in set(review(run).cameras["top"].rows["flags"])


def test_columns_are_found_by_name_wherever_they_stand(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    folder = RunFolder(run)
    steps = [str(step) for step in folder.steps("top")]
    events, lanes = folder.events(), review(run).lanes
    frames = review(run).cameras["top"]
    for name in ("top.csv", "top.frames.csv", "triggers.csv", "events.csv"):
        reversed_rows = [row[::-1] for row in rows(run / name)]
        with (run / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(reversed_rows)
    assert [str(step) for step in folder.steps("top")] == steps
    assert folder.events() == events
    after = review(run)
    assert after.warnings == []
    assert after.lanes == lanes
    found = after.cameras["top"]
    np.testing.assert_array_equal(found.poses.points, frames.poses.points)
    np.testing.assert_array_equal(found.poses.confidence, frames.poses.confidence)
    for column in ("video", "video_frame", "exposed_ns", "status"):
        assert list(found.rows[column]) == list(frames.rows[column])
