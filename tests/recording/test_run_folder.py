"""Names of a run's files, and a camera that has the name of a table."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Pulsed
from deeplabstream.recording.exposure_pulses import match_run
from deeplabstream.recording.recorded_frames import read_frames, video_frames
from deeplabstream.recording.run_folder import (
    RunFacts,
    RunFolder,
    application_version,
    stem,
)
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_schema import CAMERA, PULSES
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from tests.recording.small_run import FORM, START, STARTED, made, skeleton


@pytest.mark.parametrize(
    ("camera", "file"),
    [
        ("top", "top"),
        ("left/right", "left%2Fright"),
        ("events", "camera_events"),
        ("Aux", "camera_Aux"),
        ("con.old", "camera_con.old"),
        ("COM3", "camera_COM3"),
        ("lpt1 ", "camera_lpt1 "),
        ("console", "console"),
        ("com34", "com34"),
        ("Käfig", "Käfig"),
    ],
)
def test_cameras_get_file_names_that_windows_takes(camera: str, file: str) -> None:
    assert stem(camera) == file


def test_a_camera_named_pulses_of_an_older_run_keeps_its_files(tmp_path: Path) -> None:
    folder = RunFolder(made(tmp_path))
    before = read_frames(folder, "top")
    for file in folder.path.glob("top*"):
        file.rename(file.with_name(file.name.replace("top", "pulses")))
    folder.update(cameras={"pulses": folder.facts["cameras"]["top"]})
    frames = read_frames(folder, "pulses")
    assert frames.rows["frame"].tolist() == before.rows["frame"].tolist()
    assert {*frames.rows["video"]} == {"pulses.mkv", "pulses_2.mkv"}
    read = [table.schema for table in folder.tables()]
    assert CAMERA in read and PULSES not in read
    assert match_run(folder) == []


def test_a_camera_with_the_name_of_a_second_video_keeps_its_own_frames(
    tmp_path: Path,
) -> None:
    """Also in runs of earlier versions, in which both had such a name."""
    facts = RunFacts(START, {"arena": FORM, "arena_2": FORM})
    folder = RunFolder.create_at(tmp_path / "run", STARTED, "", facts)
    image = np.zeros(FORM.shape, np.uint8)
    files = []
    for camera, first in (("arena", 0), ("arena_2", 1000), ("arena", 50)):
        files.append(folder.new_video_path(camera))
        with VideoWriter(files[-1], FORM) as video:
            for frame in range(first, first + 3):
                at = START + frame * 10**8
                video.write(image, frame, at, at + 1)
    names = [file.name for file in files]
    assert names == ["arena.mkv", "arena_2.mkv", "arena_3.mkv"]
    for _ in range(2):
        of_one = video_frames(folder, "arena")["frame"].tolist()
        assert of_one == [0, 1, 2, 50, 51, 52]
        of_other = video_frames(folder, "arena_2")["frame"].tolist()
        assert of_other == [1000, 1001, 1002]
        repair(folder.path)
    accounts = {each["camera"]: each["files"] for each in folder.facts["accounting"]}
    assert accounts["arena_2"] == ["arena_2.mkv", "arena_2.frames.csv"]
    assert accounts["arena"][::2] == ["arena.mkv", "arena_3.mkv"]


def test_a_camera_named_pulses_is_not_its_table_of_pulses(tmp_path: Path) -> None:
    more = {"pulse_inputs": {"count": {"cameras": ["pulses"], "most_delay_ms": 9.0}}}
    facts = RunFacts(START, {"pulses": FORM}, skeleton(1), more=more)
    folder = RunFolder.create_at(tmp_path / "run", STARTED, "", facts)
    with RunWriter(folder, START) as run:
        run.entry(Pulsed("count", 0, START, START, 0))
        run.begin("pulses", skeleton(1))
    assert folder.table_path("pulses").name == "camera_pulses.csv"
    assert [t.path.name for t in folder.tables() if t.schema is PULSES] == [
        "pulses.csv"
    ]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('[project]\nversion = "2.1"\n', "2.1"),
        ("<<<<<<< HEAD\n", None),
        ("[project]\n", None),
        ("project = 1\n", None),
    ],
)
def test_a_project_file_that_is_being_merged_leaves_the_version_unknown(
    tmp_path: Path, text: str, known: str | None
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert application_version(tmp_path / "pyproject.toml") == known
