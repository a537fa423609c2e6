"""Run folders with damaged files: they are read as far as they can be, or refused in a sentence."""

import os
import random
import shutil
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import deeplabstream as dls
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.recording import run_opening
from deeplabstream.recording.alignment.aligned_run import sync_inputs
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.exporters.exports import EXPORTS, export
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_schema import PULSES
from deeplabstream.recording.table_reader import (
    RecordedTable,
    camera_table,
    triggers_table,
    video_table,
)
from deeplabstream.settings.loading import load
from tests.recording.recorded import FRAMES, SKIPPED, UNFILMED, exposed_ns, record
from utils import AnalyseRuns
from utils.RepairRun import main

CASES = int(os.environ.get("DAMAGED_RUNS", "20"))
"""How many damaged runs are tried; `make test-long` tries 1,000."""
FILES = (
    "run.json",
    "settings.ini",
    "events.csv",
    "triggers.csv",
    "top.csv",
    "top.frames.csv",
)
FAST = ("dlc-csv", "predecessor-csv", "sleap", "slp", "parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(autouse=True)
def _do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    monkeypatch.setattr(run_opening, "OBSERVATIONS", 1)


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def break_line(file: Path, number: int, line: bytes = b"no such line") -> None:
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = line
    file.write_bytes(b"\n".join(lines))


@pytest.mark.parametrize("name", FILES[2:])
@pytest.mark.parametrize("line", [b"1,2", b"\0\0\0\0", b"\xff\xfe", b'"', b""])
def test_a_broken_line_is_skipped_counted_and_told(
    run: Path, name: str, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(run / name, 3, line)
    said: list[str] = []
    open_run_folder(run, said.append)
    assert said == [f"{name}: 1 line is broken and skipped (line 3)"]
    assert review(run).warnings == said
    assert main([str(run)]) == 0
    assert "whole, nothing to do" in capsys.readouterr().out


def test_the_rows_around_a_broken_line_stay_as_they_were(run: Path) -> None:
    break_line(run / "top.csv", 5)
    steps = list(RunFolder(run).steps("top"))
    gone = {3, SKIPPED}
    assert [step.index for step in steps] == [n for n in range(FRAMES) if n not in gone]
    assert steps[4].exposed_ns == exposed_ns(5)
    assert steps[4].pose.points[0, 0, 0] == 5


def test_a_broken_line_does_not_shift_the_pictures_of_a_video(run: Path) -> None:
    """The frame of the picture is found by its number in the table of the camera."""
    break_line(run / "top.frames.csv", 6)
    rows = read_frames(RunFolder(run), "top").of_video("top.mkv").rows
    assert list(rows["video_frame"]) == list(range(UNFILMED))
    assert list(rows["frame"]) == list(range(UNFILMED))
    assert list(rows["exposed_ns"]) == [exposed_ns(n) for n in range(UNFILMED)]
    assert len(read_frames(RunFolder(run), "top").rows) == FRAMES


def test_a_picture_whose_frame_nobody_knows_keeps_its_place(run: Path) -> None:
    break_line(run / "top.frames.csv", 6)
    break_line(run / "top.csv", 6)
    part = read_frames(RunFolder(run), "top").of_video("top.mkv")
    assert list(part.rows["video_frame"]) == list(range(UNFILMED))
    assert np.isnan(part.poses.points[4]).all()
    assert part.poses.points[5, 0, 0, 0] == 5
    assert abs(int(part.rows["exposed_ns"].iat[4]) - exposed_ns(4)) < 2


@pytest.mark.parametrize("posed", [b"-1", b"5", b"8000000000000000000"])
def test_a_row_whose_time_runs_backwards_is_a_broken_line(
    run: Path, posed: bytes
) -> None:
    """Whether it is the wrong one of its neighbours is seen from all the others."""
    cells = (run / "top.csv").read_bytes().split(b"\n")[19].split(b",")
    cells[4] = posed
    break_line(run / "top.csv", 20, b",".join(cells))
    said: list[str] = []
    steps = list(open_run_folder(run, said.append).steps("top"))
    assert said == ["top.csv: 1 line is broken and skipped (line 20)"]
    assert len(steps) == FRAMES - 2


@pytest.mark.parametrize("name", ["top.csv", "top.frames.csv", "triggers.csv"])
def test_a_table_read_at_once_is_the_table_read_line_by_line(
    run: Path, name: str
) -> None:
    draw, file = random.Random(name), run / name
    good = file.read_bytes()
    skeleton = RunFolder(run).skeleton
    tables: dict[str, Callable[[], RecordedTable]] = {
        "top.csv": lambda: camera_table(file, skeleton),
        "top.frames.csv": lambda: video_table(file),
        "triggers.csv": lambda: triggers_table(file),
    }
    at_once = 0
    for case in range(150):
        data = bytearray(good)
        for _ in range(case % 3):  # often still valid: a digit for a digit
            place = draw.randrange(data.index(b"\n") + 1, len(data))
            is_digit = data[place : place + 1].isdigit()
            letters = (
                b"0123456789" if is_digit and draw.random() < 0.8 else b'-.,e\r\n\xff"n'
            )
            data[place] = draw.choice(letters)
        if case % 5 == 4:
            lines = bytes(data).split(b"\n")
            lines.insert(draw.randrange(1, len(lines)), draw.choice(lines[1:]))
            data = bytearray(b"\n".join(lines))
        file.write_bytes(data)
        quick, slow = tables[name](), tables[name]()
        at_once += quick._has_no_broken_lines()
        slow._has_no_broken_lines = lambda: False  # type: ignore[method-assign]
        pd.testing.assert_frame_equal(quick.frame(), slow.frame())
        assert (quick.broken, quick.end) == (slow.broken, slow.end), case
    assert 40 < at_once < 150


def test_a_long_table_is_read_without_its_whole_text_in_memory(run: Path) -> None:
    file = run / "top.frames.csv"
    header, first, *_ = file.read_text("utf-8").splitlines()
    cells = first.split(",")
    with file.open("w", encoding="utf-8") as long:
        long.write(f"{header}\n")
        for row in range(150_000):
            long.write(",".join([str(row), str(row), *cells[2:]]) + "\n")
    tracemalloc.start()
    try:
        found = video_table(file).frame(usecols=["video_frame", "frame"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found["frame"].tolist() == list(range(150_000))
    assert peak < 2 * file.stat().st_size
    assert video_table(file).warning() == ""


def test_an_event_that_can_not_be_done_again_is_a_broken_line(run: Path) -> None:
    """As a command whose text was cut."""
    columns = (run / "events.csv").read_text("utf-8").partition("\n")[0].split(",")
    row = {"time_s": "1.0", "kind": "command", "camera": "top", "exposed_ns": "5"}
    row |= {"name": "light", "level": "1.0", "text": "pulse"}
    line = ",".join(row.get(name, "") for name in columns)
    break_line(run / "events.csv", 2, line.encode())
    folder = open_run_folder(run, lambda told: None)
    assert not any(step.commands and step.index == 0 for step in folder.steps("top"))
    assert (
        len(folder.events()) == len((run / "events.csv").read_text().splitlines()) - 2
    )


def test_repair_of_a_killed_run_counts_its_broken_lines(run: Path) -> None:
    RunFolder(run).update(ended=None, how=None)
    break_line(run / "top.csv", 5)
    break_line(run / "top.frames.csv", 4)
    repair(run)
    accounts = {each["span"]: each for each in RunFolder(run).facts["accounting"]}
    assert all(each["closes"] for each in accounts.values())
    assert accounts["analysis"]["delivered"] == FRAMES
    assert accounts["analysis"]["unlisted"] == 1
    assert accounts["recording"]["recorded"] == UNFILMED
    assert repair(run).done == []


def test_a_run_json_that_is_lost_is_made_from_the_tables(run: Path) -> None:
    before = read_frames(RunFolder(run), "top")
    (run / "run.json").write_bytes(b"\0" * 900)
    after = review(run)
    assert any("run.json: could not be read" in told for told in after.warnings)
    assert after.skeleton.bodyparts == before.skeleton.bodyparts
    np.testing.assert_array_equal(
        after.cameras["top"].poses.points, before.poses.points
    )
    assert (run / "run.json.damaged").read_bytes() == b"\0" * 900


def test_numbered_pulses_are_no_camera_of_a_lost_run_json(run: Path) -> None:
    pulses = CsvTable(run / "pulses.csv", PULSES.names)
    pulses.close()
    (run / "run.json").unlink()
    repair(run)
    assert [*RunFolder(run).facts["cameras"]] == ["top"]
    # runs from before there were pulses may have a camera of this name
    (run / "run.json").unlink()
    pulses.path.unlink()
    shutil.copy(run / "top.csv", run / "pulses.csv")
    repair(run)
    assert [*RunFolder(run).facts["cameras"]] == ["pulses", "top"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"[Experiment]\nEXP_NAME = \xff\n", "it is not UTF-8 text"),
        (b"[Experiment]\n" + bytes(50), "it contains NUL characters"),
    ],
)
def test_each_program_says_that_the_settings_of_a_run_cannot_be_read(
    run: Path,
    content: bytes | None,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = run / "settings.ini"
    settings.unlink()
    if content is not None:
        settings.write_bytes(content)
    said = f"{settings} can't be read: {reason}. Restore it from a backup"
    report = str(run.with_name("report.html"))
    for words in ([], ["--report", report]):
        assert AnalyseRuns.main([str(run), *words]) == 2
        assert said in capsys.readouterr().err
    for use in (lambda: export(run, ["nwb"]), lambda: dls.open_run(run).settings_text):
        with pytest.raises(DeepLabStreamError) as error:
            use()
        assert said in str(error.value)
    assert sync_inputs(RunFolder(run)) == []
    assert review(run).cameras


def damage(file: Path, chance: random.Random) -> None:
    """Damage a file as disks, power cuts, editors and copying do."""
    data = bytearray(file.read_bytes())
    lines = bytes(data).split(b"\n")
    at = chance.randrange(max(1, len(data)))
    line = chance.randrange(len(lines))
    match chance.randrange(12):
        case 0:
            file.unlink()
            return
        case 1:
            data = bytearray()
        case 2:
            data = data[:at]
        case 3 | 4 | 5:
            for _ in range(chance.choice([1, 1, 3, 30])):
                if data:
                    place = chance.randrange(len(data))
                    data[place] ^= 1 << chance.randrange(8)
        case 6:
            length = chance.choice([1, 16, 300])
            data[at : at + length] = bytes(length)
        case 7:
            del lines[line]
            data = bytearray(b"\n".join(lines))
        case 8:
            lines.insert(line, lines[chance.randrange(len(lines))])
            data = bytearray(b"\n".join(lines))
        case 9:
            lines[line] += b"," * chance.choice([1, 4])
            data = bytearray(b"\n".join(lines))
        case 10:
            lines[line] = b",".join(lines[line].split(b",")[: chance.randrange(6)])
            data = bytearray(b"\n".join(lines))
        case _:
            cells = lines[line].split(b",")
            cells[chance.randrange(len(cells))] = chance.choice(WRONG)
            lines[line] = b",".join(cells)
            data = bytearray(b"\n".join(lines))
    file.write_bytes(data)


WRONG = [
    b"",
    b"x",
    b"-1",
    b"9" * 30,
    b"nan",
    b"1e999",
    b'"',
    b"\xc3",
    "ä".encode(),
    b"0.5",
]


def decided_again(path: Path) -> None:
    compare(load(path / "settings.ini"), open_run_folder(path, lambda told: None))


def repaired(path: Path) -> None:
    with suppress(ValueError):  # its sentence says that this is not a run folder
        repair(path)


def test_damaged_run_folders_end_in_data_or_in_a_sentence(
    whole: Path, tmp_path: Path
) -> None:
    """Opening, repair, exports, review and deciding again: never another error."""
    ends = {"data": 0, "sentence": 0}
    for number in range(CASES):
        chance = random.Random(number)
        path = Path(shutil.copytree(whole, tmp_path / "run"))
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            file = path / chance.choice(FILES)
            if file.exists():
                damage(file, chance)
        kind = chance.choice(FAST)
        uses: list[Callable[[Path], object]] = [
            review,
            repaired,
            lambda path, kind=kind: export(path, [kind]),  # type: ignore[misc]
            decided_again,
        ]
        chance.shuffle(uses)
        for use in uses:
            try:
                use(path)
                ends["data"] += 1
            except DeepLabStreamError as error:
                assert str(error)
                ends["sentence"] += 1
            except Exception as error:
                kept = tmp_path / f"case_{number}"
                path.rename(kept)
                raise AssertionError(f"case {number}, left in {kept}") from error
        shutil.rmtree(path)
    assert ends["data"] > CASES
    assert ends["data"] + ends["sentence"] == 4 * CASES
    assert {*FAST} < {*EXPORTS}
