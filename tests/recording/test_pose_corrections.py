"""Corrections of poses: what each changes, what it leaves, and the file that keeps them."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files import exclusive_writing
from deeplabstream.recording.cell_formats import identity_of, parse_flags
from deeplabstream.recording.corrected_poses import (
    CorrectedPoses,
    _without_own_doubt,
    apply_corrections,
    rejected_points,
)
from deeplabstream.recording.pose_corrections import (
    Correction,
    Kind,
    append_correction,
    in_force,
    read_corrections,
)
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.run_schema import CORRECTIONS

SKELETON = Skeleton(("nose", "tail"), animals=("anna", "bob"))
ROWS = 12
FRAMES = np.arange(ROWS) * 2 + 100  # every second one arrived
LATE = 6  # the row before which time passes twice as fast


def table(flags: Sequence[str] = ()) -> PoseTable:
    """Nose of anna at (row, 0), her tail 10 lower; bob 100 to the right."""
    points = np.zeros((ROWS, 2, 2, 2))
    points[..., 0] = np.arange(ROWS)[:, None, None] + np.array([0, 100])[:, None]
    points[..., 1, 1] = 10
    confidence = np.full((ROWS, 2, 2), 0.9)
    points[3], confidence[3] = np.nan, np.nan  # not analysed
    times_s = np.arange(ROWS, dtype=np.float64)
    times_s[LATE:] = (times_s[LATE:] + LATE) / 2
    cells = [parse_flags(cell) for cell in flags or [""] * ROWS]
    identity = [identity_of(SKELETON, cell) for cell in cells]
    return PoseTable(
        Path("x"), SKELETON, points, confidence, FRAMES, times_s, "top", identity
    )


def correction(
    kind: Kind, first: int, last: int, *names: str, **more: object
) -> Correction:
    """Return a correction of these rows, of animals and body parts by name."""
    animals = tuple(name for name in names if name in SKELETON.animals)
    parts = tuple(name for name in names if name not in SKELETON.animals)
    frames = int(FRAMES[first]), int(FRAMES[last])
    return Correction(
        kind=kind, camera="top", frames=frames, animals=animals, bodyparts=parts,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def corrected(*corrections: Correction, flags: Sequence[str] = ()) -> CorrectedPoses:
    before = table(flags)
    found = apply_corrections(
        before, flags or [""] * ROWS, 0.5, dict(enumerate(corrections, start=1))
    )
    after = table(flags)
    np.testing.assert_array_equal(before.points, after.points)
    np.testing.assert_array_equal(before.confidence, after.confidence)
    return found


def test_two_animals_are_swapped_within_the_span_only() -> None:
    flags = [""] * ROWS
    flags[4] = "anna doubt1; bob doubt1; anna_nose jump"
    flags[5] = "bob_tail held"
    flags[6] = "anna doubt1"
    found = corrected(correction("swap", 2, 5, "anna", "bob"), flags=flags)
    inside, outside = [2, 4, 5], [0, 1, *range(6, ROWS)]
    points = table().points
    np.testing.assert_array_equal(found.table.points[inside], points[inside][:, ::-1])
    np.testing.assert_array_equal(found.table.points[outside], points[outside])
    assert np.isnan(found.table.confidence[3]).all()
    assert [*found.flags[4:7]] == ["bob_nose jump", "anna_tail held", "anna doubt1"]
    assert found.table.identity[4] == ("", "")
    assert found.table.identity[6] == ("doubt1", "")
    assert np.flatnonzero(found.corrected.any(axis=(1, 2))).tolist() == inside
    assert np.argwhere(rejected_points(found.flags, SKELETON)).tolist() == [[4, 1, 0]]


def test_confirmed_names_are_no_longer_ambiguous() -> None:
    flags = ["anna doubt1; bob doubt1; bob_nose held"] * ROWS
    found = corrected(correction("confirm", 0, 1, "anna"), flags=flags)
    np.testing.assert_array_equal(found.table.points, table().points)
    assert found.flags[1] == "bob doubt1; bob_nose held"
    assert found.table.identity[:3] == [
        ("", "doubt1"), ("", "doubt1"), ("doubt1", "doubt1"),
    ]  # fmt: skip


def test_removed_points_are_not_found() -> None:
    found = corrected(correction("remove", 1, 2, "bob", "nose"))
    assert np.argwhere(found.corrected).tolist() == [[1, 1, 0], [2, 1, 0]]
    assert np.isnan(found.table.points[1:3, 1, 0]).all()
    assert (found.table.confidence[1:3, 1, 0] == 0).all()
    assert np.isfinite(found.table.points[1:3, :, 1]).all()


def test_a_set_point_counts_though_it_was_rejected() -> None:
    flags = [""] * ROWS
    flags[7] = "anna_nose jump; anna_tail bone"
    place = correction("set", 7, 7, "anna", "nose", position=(7.5, -3.0))
    found = corrected(place, flags=flags)
    assert found.table.points[7, 0, 0].tolist() == [7.5, -3.0]
    assert found.table.confidence[7, 0, 0] == 1
    assert found.flags[7] == "anna_tail bone"


def test_interpolation_follows_time_and_skips_bad_neighbours() -> None:
    flags = [""] * ROWS
    flags[4], flags[9] = "bob_nose jump", "bob doubt1"
    span = correction("interpolate", 5, 8, "bob", "nose")
    lower = correction("set", 10, 10, "bob", "nose", position=(300.0, 40.0))
    found = corrected(lower, span, flags=flags)
    # from row 2 (2 s, x = 102) to row 10 (8 s, x = 300)
    t = np.array([5, 6, 6.5, 7])
    expected = 102 + 198 * (t - 2) / 6
    np.testing.assert_allclose(found.table.points[5:9, 1, 0, 0], expected)
    np.testing.assert_allclose(found.table.points[5:9, 1, 0, 1], 40 * (t - 2) / 6)
    assert (found.table.confidence[5:9, 1, 0] == 0.9).all()
    assert found.table.points[9, 1, 0].tolist() == [109, 0]


def test_what_can_not_be_interpolated_stays_as_it_is() -> None:
    gone = correction("remove", 0, 4, "anna", "tail")
    span = correction("interpolate", 5, 8, "anna")
    found = corrected(gone, span)
    assert not found.corrected[5:9, 0, 1].any()
    before = table().points[5:9, 0, 1]
    np.testing.assert_array_equal(found.table.points[5:9, 0, 1], before)
    with pytest.raises(DeepLabStreamError, match=r"correction 1: interpolate: no such"):
        corrected(correction("interpolate", 8, ROWS - 1))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: correction("swap", 1, 2, "anna"), "names of two animals"),
        (lambda: correction("swap", 1, 2, "anna", "bob", "nose"), "no body part"),
        (lambda: correction("remove", 2, 1), "last frame 102 is before first frame 104"),
        (lambda: correction("set", 1, 1, "anna", "nose"), "needs x and y"),
        (lambda: correction("set", 1, 1, "anna", position=(1.0, 2.0)), "one body part"),
        (lambda: correction("remove", 1, 1, "tale"), "no body part 'tale'; known: nose"),
        (lambda: correction("remove", 3, 3), "no analysed frame from 106 to 106; .* 100 to"),
        (lambda: correction("split", 1, 2, "anna", "bob", keep="anna"), "expected: bob"),
        (lambda: correction("merge", 1, 2, "anna", "bob", keep="carl"), "anna or bob"),
        (lambda: correction("swap", 1, 2, "anna", "bob", keep="bob"), "expected: none"),
        (lambda: Correction(kind="undo"), "number of a correction"),
        (lambda: Correction(kind="own"), "no such correction"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong: object, reason: str) -> None:
    with pytest.raises(DeepLabStreamError, match=reason):
        corrected(wrong())  # type: ignore[operator]


def test_an_undo_can_be_undone_and_the_list_keeps_all(tmp_path: Path) -> None:
    first, second = correction("remove", 1, 1), correction("remove", 2, 2, "anna")
    undo = Correction(kind="undo", undoes=1, who="eva", when="now", why="a slip")
    assert [append_correction(tmp_path, each) for each in (first, second, undo)] == [
        1, 2, 3,
    ]  # fmt: skip
    assert read_corrections(tmp_path) == (first, second, undo)
    assert in_force(read_corrections(tmp_path)) == {2: second}
    append_correction(tmp_path, Correction(kind="undo", undoes=3))
    assert in_force(read_corrections(tmp_path)) == {1: first, 2: second}
    with pytest.raises(DeepLabStreamError, match="no correction 9; it has 4"):
        append_correction(tmp_path, Correction(kind="undo", undoes=9))
    assert len(read_corrections(tmp_path)) == 4


def test_no_correction_is_lost_when_several_programs_add_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 600.0)
    numbers: list[int] = []

    def add(row: int) -> None:
        each = correction("remove", row, row, "anna")
        numbers.extend(append_correction(tmp_path, each) for _ in range(10))

    writers = [threading.Thread(target=add, args=(row,)) for row in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(numbers) == [*range(1, 41)]
    found = read_corrections(tmp_path)
    rows = [int(np.searchsorted(FRAMES, each.frames[0])) for each in found]
    assert sorted(rows) == sorted([*range(4)] * 10)
    assert [file.name for file in tmp_path.iterdir()] == [CORRECTIONS]


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"schema": 1}', '{"schema": 3, "corrections": 1}',
        '{"schema": "9", "corrections": []}',
        '{"schema": 1, "corrections": [7]}',
        json.dumps({"schema": 1, "corrections": [{"kind": "remove", "frames": [1]}]}),
        json.dumps({"schema": 1, "corrections": [
            {"kind": "own", "frames": [1, 1], "animals": [], "bodyparts": []}]}),
        json.dumps({"schema": 1, "corrections": [
            {"kind": "remove", "frames": [1, 1], "animals": [], "bodyparts": [], "x": 1}]}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_sentence_and_stays(tmp_path: Path, text: str) -> None:
    (tmp_path / CORRECTIONS).write_text(text, "utf-8")
    with pytest.raises(DeviceError, match="can't be read"):
        append_correction(tmp_path, correction("remove", 1, 1))
    assert (tmp_path / CORRECTIONS).read_text("utf-8") == text


def test_a_switch_exchanges_points_and_flags_and_keeps_what_is_ambiguous() -> None:
    flags = [""] * ROWS
    flags[5], flags[7] = "anna stray", "anna doubt1; bob doubt1"
    before = table(flags)
    after = corrected(correction("switch", 4, 11, "anna", "bob"), flags=flags)
    np.testing.assert_array_equal(after.table.points[4:], before.points[4:, ::-1])
    np.testing.assert_array_equal(after.table.points[:4], before.points[:4])
    assert after.flags[5] == "bob stray"
    assert after.table.identity[7] == ("doubt1", "doubt1")


def of_two(
    kind: Kind, first: str, second: str, keep: str = "", flags: Sequence[str] = ()
) -> CorrectedPoses:
    """Merge or split rows 4 to 8; anna is missing on row 5, bob on row 7."""
    gone = correction("remove", 5, 5, "anna"), correction("remove", 7, 7, "bob")
    change = correction(kind, 4, 8, first, second, keep=keep)
    return corrected(*gone, change, flags=flags)


@pytest.mark.parametrize("keep", ["", "anna", "bob"])
def test_a_merged_animal_is_found_where_one_of_the_two_was(keep: str) -> None:
    before, after = table(), of_two("merge", "anna", "bob", keep).table
    both = 1 if keep == "bob" else 0
    for row, taken in ((4, both), (5, 1), (6, both), (7, 0), (8, both)):
        np.testing.assert_array_equal(after.points[row, 0], before.points[row, taken])
        assert (after.confidence[row, 0] == 0.9).all()
    assert np.isnan(after.points[4:9, 1]).all()
    assert (after.confidence[4:9, 1] == 0).all()
    for rows in (slice(0, 4), slice(9, ROWS)):
        np.testing.assert_array_equal(after.points[rows], before.points[rows])


def test_a_merge_marks_only_the_points_that_it_changed() -> None:
    merge = correction("merge", 4, 6, "anna", "bob")
    marked = corrected(correction("remove", 5, 5, "anna"), merge).corrected
    assert marked[4:7, 0].all(axis=1).tolist() == [False, True, False]
    assert marked[4:7, 1].all()


def test_merged_animals_are_no_longer_ambiguous_with_each_other() -> None:
    flags = [""] * ROWS
    flags[4] = "anna doubt1; bob doubt1+shelter2; anna_nose jump; bob_tail held"
    flags[5] = "bob stray; bob_nose jump"
    found = of_two("merge", "anna", "bob", flags=flags)
    assert [*found.flags[4:7]] == [
        "anna_nose jump; bob absent", "anna_nose jump; bob absent", "bob absent",
    ]  # fmt: skip
    assert np.argwhere(rejected_points(found.flags, SKELETON)).tolist() == [
        [4, 0, 0], [5, 0, 0],
    ]  # fmt: skip


def test_a_merge_leaves_an_ambiguity_with_a_third_animal() -> None:
    flags = {"anna": "doubt1", "bob": "doubt1+shelter1", "carl": "doubt1+swapped"}
    assert _without_own_doubt(flags, {"anna", "bob"}) == flags
    assert _without_own_doubt(flags, {"anna", "bob", "carl"}) == {
        "bob": "shelter1", "carl": "swapped",
    }  # fmt: skip


def test_nothing_is_merged_where_the_second_animal_is_never_found() -> None:
    gone = correction("remove", 2, 6, "bob")
    with pytest.raises(
        DeepLabStreamError, match=r"correction 2: merge: no point of bob"
    ):
        corrected(gone, correction("merge", 2, 6, "anna", "bob"))


def test_a_split_renames_an_animal_and_removes_the_old_one_of_that_name() -> None:
    flags = [""] * ROWS
    flags[6] = "anna doubt1; bob doubt1; anna_nose jump; bob_tail bone"
    before, found = table(flags), of_two("split", "anna", "bob", flags=flags)
    present = [4, 6, 7, 8]
    np.testing.assert_array_equal(
        found.table.points[present, 1], before.points[present, 0]
    )
    assert np.isnan(found.table.points[5, 1]).all()
    assert np.isnan(found.table.points[4:9, 0]).all()
    assert found.flags[6] == "bob doubt1; bob_nose jump; anna absent"
    assert found.table.identity[6] == ("absent", "doubt1")
    assert found.corrected[4:9].all()
    assert not found.corrected[[*range(4), *range(9, ROWS)]].any()


def test_a_split_that_keeps_the_old_animal_is_a_switch() -> None:
    flags = [""] * ROWS
    flags[6] = "anna doubt1; bob doubt1; anna_nose jump"
    split = corrected(correction("split", 4, 8, "anna", "bob", keep="bob"), flags=flags)
    switch = corrected(correction("switch", 4, 8, "anna", "bob"), flags=flags)
    np.testing.assert_array_equal(split.table.points, switch.table.points)
    assert [*split.flags] == [*switch.flags]


def test_a_file_without_the_new_kinds_stays_as_it_reads_for_older_versions(
    tmp_path: Path,
) -> None:
    append_correction(tmp_path, correction("swap", 4, 5, "anna", "bob"))
    content = json.loads((tmp_path / CORRECTIONS).read_text("utf-8"))
    assert content["schema"] == 2
    assert "keep" not in content["corrections"][0]
    append_correction(tmp_path, correction("merge", 4, 5, "anna", "bob", keep="bob"))
    content = json.loads((tmp_path / CORRECTIONS).read_text("utf-8"))
    assert content["schema"] == 3
    assert read_corrections(tmp_path)[1].keep == "bob"


def test_a_file_of_a_newer_version_is_not_called_damaged(tmp_path: Path) -> None:
    text = '{"schema": 9, "corrections": []}'
    (tmp_path / CORRECTIONS).write_text(text, "utf-8")
    with pytest.raises(
        DeviceError, match=r"newer DeepLabStream .* update DeepLabStream"
    ):
        read_corrections(tmp_path)


def test_corrections_of_the_first_schema_stay_readable(tmp_path: Path) -> None:
    append_correction(tmp_path, correction("swap", 4, 5, "anna", "bob"))
    path = tmp_path / CORRECTIONS
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "schema": 1}), "utf-8")
    assert append_correction(tmp_path, correction("switch", 6, 7, "anna", "bob")) == 2
    assert [one.kind for one in read_corrections(tmp_path)] == ["swap", "switch"]
    assert json.loads(path.read_text("utf-8"))["schema"] == 2
