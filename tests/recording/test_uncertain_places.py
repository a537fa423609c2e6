"""Uncertain places of a run: which spans are listed, with which animals, in which order."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

import deeplabstream as dls
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.pose_corrections import Correction
from deeplabstream.recording.recorded_frames import RecordedFrames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import keypoint_columns
from deeplabstream.recording.uncertain_places import (
    UncertainPlace,
    last_frame_before,
    next_place,
    uncertain_places,
)
from tests.recording.small_run import made
from utils.CorrectPoses import main

SKELETON = Skeleton(("nose", "tail"), animals=("anna", "bob", "carl"))
RATE = 10  # frames per second
FIRST = 100  # number of the first frame


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(made(tmp_path, video=False))


def frames(
    folder: RunFolder, flags: dict[range, str], missing: dict[range, str] | None = None
) -> RecordedFrames:
    """Return 10 s of three animals, with flags and missing animals by their rows."""
    count = 10 * RATE
    columns = keypoint_columns(SKELETON)
    rows = pd.DataFrame(np.full((count, len(columns)), 0.9), columns=list(columns))
    for span, animal in (missing or {}).items():
        for part in SKELETON.bodyparts:
            names = [name for name in columns if f"{animal}_{part}" in name]
            assert len(names) == 3
            rows.loc[list(span), names[-1]] = 0.0
    cells = [""] * count
    for span, cell in flags.items():
        for row in span:
            cells[row] = f"{cells[row]}; {cell}" if cells[row] else cell
    rows = rows.assign(
        flags=cells, frame=np.arange(count) + FIRST, time_s=np.arange(count) / RATE,
        video="", analysed=True,
    )  # fmt: skip
    return RecordedFrames(folder, "top", rows, SKELETON)


def listed(found: tuple[UncertainPlace, ...]) -> list[tuple[object, ...]]:
    return [(place.reason, *place.frames, *place.animals) for place in found]


def test_an_ambiguous_group_is_one_place_while_animals_join_and_leave(
    folder: RunFolder,
) -> None:
    run = frames(
        folder,
        {
            range(10, 20): "anna doubt1; bob doubt1",
            range(20, 30): "anna doubt1; bob doubt1; carl doubt1",
            range(30, 40): "bob doubt1; carl doubt1+shelter2",
        },
    )
    (place,) = uncertain_places(run)
    assert listed((place,)) == [("ambiguous", 110, 139, "anna", "bob", "carl")]
    assert place.start_s == pytest.approx(1)
    assert place.duration_s == pytest.approx(3)
    assert place.animal_s == pytest.approx(9)


def test_places_less_than_half_a_second_apart_are_one(
    folder: RunFolder,
) -> None:
    both = "anna doubt1; bob doubt1"
    run = frames(
        folder, {range(10, 20): both, range(23, 30): both, range(40, 42): both}
    )
    assert listed(uncertain_places(run)) == [
        ("ambiguous", 110, 129, "anna", "bob"),
        ("ambiguous", 140, 141, "anna", "bob"),
    ]


def test_places_of_most_animals_times_duration_come_first(folder: RunFolder) -> None:
    run = frames(
        folder,
        {
            range(5, 10): "carl stray",
            range(20, 24): "anna doubt1; bob doubt1",
            range(24, 25): "anna exchanged; bob exchanged",
            range(60, 61): "carl believed",
            range(70, 71): "carl swapped",
            range(72, 73): "carl confirmed",
        },
    )
    assert listed(uncertain_places(run)) == [
        ("ambiguous", 120, 123, "anna", "bob"),
        ("stray", 105, 109, "carl"),
        ("renamed", 124, 124, "anna", "bob"),
        ("motion", 160, 160, "carl"),
    ]


def test_an_animal_is_missing_after_a_second_unless_it_is_in_a_shelter(
    folder: RunFolder,
) -> None:
    absent = {range(10, 30): "anna", range(40, 45): "bob", range(50, 90): "carl"}
    run = frames(folder, {range(50, 90): "carl shelter1"}, absent)
    assert listed(uncertain_places(run)) == [("missing", 110, 129, "anna")]


def test_a_place_that_was_confirmed_or_swapped_is_not_listed(folder: RunFolder) -> None:
    flags = {
        range(10, 20): "anna doubt1; bob doubt1",
        range(50, 60): "bob doubt1; carl doubt1",
    }
    confirmed = Correction(
        kind="confirm", camera="top", frames=(110, 119), animals=("anna", "bob")
    )
    run = frames(folder, flags).with_corrections({1: confirmed})
    assert listed(uncertain_places(run)) == [("ambiguous", 150, 159, "bob", "carl")]


def test_an_animal_that_was_merged_or_renamed_is_not_missing(folder: RunFolder) -> None:
    run = frames(folder, {}, {range(50, 90): "carl"})
    merge, split = (
        Correction(kind=kind, camera="top", frames=(110, 139), animals=animals)
        for kind, animals in (("merge", ("anna", "bob")), ("split", ("carl", "anna")))
    )
    after = replace(split, frames=(150, 189))
    found = listed(uncertain_places(run.with_corrections({1: merge, 2: after})))
    assert found == [("missing", 150, 189, "anna")], "carl's row was empty"


def check(first: int, last: int, *animals: str, reason: str = "") -> Correction:
    frames = first, last
    return Correction(
        kind="check", camera="top", frames=frames, animals=animals, reason=reason
    )


def test_a_check_marks_the_places_that_it_covers_and_they_come_last(
    folder: RunFolder,
) -> None:
    both = "anna doubt1; bob doubt1"
    run = frames(
        folder,
        {range(10, 30): both, range(50, 52): "carl stray", range(60, 61): "bob stray"},
        {range(70, 90): "anna"},
    )
    for checks, checked in (
        ([check(110, 129)], ["ambiguous"]),
        ([check(110, 128)], []),
        ([check(110, 129, "anna")], []),
        ([check(110, 129, "anna", "bob", reason="missing")], []),
        ([check(100, 199, reason="stray")], ["stray", "stray"]),
        ([check(100, 199, "anna")], ["missing"]),
        ([check(150, 151, "carl"), check(170, 189)], ["missing", "stray"]),
    ):
        places = uncertain_places(run, checks)
        states = [place.checked for place in places]
        assert states == sorted(states)
        assert len(places) == 4
        assert [place.reason for place in places if place.checked] == checked
        assert [str(place).endswith("(checked)") for place in places] == states


def test_the_next_place_is_unchecked_and_follows_the_frame(folder: RunFolder) -> None:
    run = frames(folder, {range(at, at + 2): "anna stray" for at in (10, 30, 50)})
    places = uncertain_places(run, [check(130, 131)])
    for frame, wanted in ((100, 110), (110, 150), (140, 150), (150, 110), (190, 110)):
        place = next_place(places, frame)
        assert place is not None
        assert place.frames[0] == wanted
    assert next_place(uncertain_places(run, [check(100, 199)]), 100) is None


def test_a_span_ends_before_the_next_unchecked_place_of_its_animals(
    folder: RunFolder,
) -> None:
    run = frames(
        folder,
        {
            range(30, 32): "carl stray",
            range(40, 42): "anna stray",
            range(60, 62): "bob stray",
        },
    )
    run.rows.loc[39, "analysed"] = False
    analysed = run.poses.frames[run.analysed]
    places, later = uncertain_places(run), uncertain_places(run, [check(140, 141)])
    for shown, first, animals, last in (
        (places, 110, (), 129),
        (places, 110, ("anna", "bob"), 138),
        (later, 110, ("anna", "bob"), 159),
        (places, 160, ("anna", "bob"), 199),
        (places, 139, ("anna",), 139),
    ):
        assert last_frame_before(shown, analysed, first, animals) == last
    assert last_frame_before(places, analysed, 200) is None


def test_frames_that_were_not_analysed_end_no_place(folder: RunFolder) -> None:
    run = frames(folder, {range(10, 20): "anna doubt1", range(22, 30): "anna doubt1"})
    run.rows.loc[[20, 21], "analysed"] = False
    assert listed(uncertain_places(run)) == [("ambiguous", 110, 129, "anna")]
    run.rows["analysed"] = False
    assert uncertain_places(run) == ()


def test_the_program_and_the_library_list_the_places_of_a_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path, animals=2)
    assert main([str(run), "uncertain"]) == 0
    assert capsys.readouterr().out == f"{run}: no uncertain places\n"
    table = run / "top.csv"
    lines = table.read_text("utf-8").splitlines()
    at = lines[0].split(",").index("flags")
    row = cast("list[str]", lines[2].split(","))
    row[at] = "anna doubt1; bob doubt1"
    table.write_text("\n".join([*lines[:2], ",".join(row), *lines[3:]]) + "\n", "utf-8")
    (place,) = dls.uncertain_places(run)
    assert (place.reason, place.frames) == ("ambiguous", (3, 3))
    assert main([str(run), "uncertain", "--camera", "top"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("frame 3, 0.10 s, for ")
    assert out.endswith("anna, bob: identities are ambiguous\n1 of 1 to check\n")
    assert main([str(run), "check", "--frames", "3", "--why", "seen"]) == 0
    assert capsys.readouterr().out == "1: check all animals, frame 3 of top\n"
    assert main([str(run), "uncertain"]) == 0
    assert capsys.readouterr().out.endswith("(checked)\n0 of 1 to check\n")
    assert [place.checked for place in dls.uncertain_places(run)] == [True]
    assert not any("correction" in note for note in dls.analyse(run).notes)
    assert main([str(run), "undo", "1"]) == 0
    assert dls.uncertain_places(run) == (place,)
    capsys.readouterr()
    with pytest.raises(DeviceError, match="no poses of camera 'side'"):
        dls.uncertain_places(run, "side")
