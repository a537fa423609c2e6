"""Arenas of one camera: the grid, single regions, and what does not fit them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.regions import Circle, Rectangle
from deeplabstream.settings.arena_geometry import ImagePoint, grid_centres, overlaps
from deeplabstream.settings.arenas import NO_SUBJECT, Arenas
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.settings.sections import effective

RIG = """
[Pose Estimation]
MODEL = background
[Camera top]
KIND = SimulatedCamera
[Arenas]
ROWS = 2
COLUMNS = 3
CORNERS = 100 100, 300 200
SHAPE = circle 40
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        parse(text, Path())
    return list(raised.value.problems)


def rig(text: str = RIG) -> Settings:
    return parse(text, Path())


def test_a_grid_names_its_arenas_by_row_letter_and_column_number() -> None:
    arenas = rig().arenas
    assert list(arenas) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert arenas["A1"] == Circle(100, 100, 40)
    assert arenas["A2"] == Circle(200, 100, 40)
    assert arenas["B3"] == Circle(300, 200, 40)


def test_the_names_of_the_arenas_are_those_of_the_animals() -> None:
    trigger = (
        "[Trigger near]\nKIND = InsideRegion\nANIMAL = {}\n"
        "BODYPARTS = centre\nREGION = circle 100 100 9\n"
    )
    assert rig(RIG + trigger.format("B3")).animals.names == tuple(rig().arenas)
    rig(RIG + trigger.format("6"))
    (problem,) = problems(RIG + trigger.format("B4"))
    assert "[Trigger near] ANIMAL = B4: not in [Animals] NAMES" in problem
    (problem,) = problems(RIG + trigger.format("7"))
    assert "finds 6 animals" in problem


def test_single_arenas_are_added_to_the_grid() -> None:
    more = "[Arena left dish]\nREGION = rectangle 400 20 50 60\n"
    (problem,) = problems(RIG + more)
    assert "'left dish' is not a valid name" in problem
    arenas = rig(RIG + more.replace("left dish", "dish")).arenas
    assert arenas["dish"] == Rectangle(400, 20, 50, 60)
    assert len(arenas) == 7
    alone = rig("[Camera top]\nKIND = SimulatedCamera\n" + more.replace(" dish", ""))
    assert list(alone.arenas) == ["left"]


def test_a_single_arena_replaces_that_of_the_grid() -> None:
    arenas = rig(RIG + "[Arena A2]\nREGION = circle 205 98 38\n").arenas
    assert list(arenas) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert arenas["A2"] == Circle(205, 98, 38)


def test_unused_arenas_are_left_out() -> None:
    text = RIG.replace("[Arenas]\n", "[Arenas]\nUNUSED = A3, B1, A3\n")
    settings = rig(text)
    assert list(settings.arenas) == ["A1", "A2", "B2", "B3"]
    assert settings.animals.names == ("A1", "A2", "B2", "B3")
    (problem,) = problems(text.replace("B1", "B4"))
    assert problem == "[Arenas] UNUSED: there is no arena B4 in the grid"
    assert "all arenas are unused" in " ".join(
        problems(text.replace("A3, B1, A3", "A1, A2, A3, B1, B2, B3"))
    )


def test_the_run_states_the_region_of_each_arena() -> None:
    assert effective(rig())["arenas"]["B1"] == "circle 100 200 40"
    assert "arenas" not in effective(rig("[Camera top]\nKIND = SimulatedCamera\n"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CORNERS = 100 100, 300 200", "", "CORNERS: expected two or four"),
        ("CORNERS = 100 100, 300 200", "CORNERS = 1 2, 3", "expected X Y for each"),
        (
            "CORNERS = 100 100, 300 200",
            "CORNERS = 300 100, 100 100, 100 300, 300 300",
            "expected upper left, upper right, lower right, lower left",
        ),
        ("SHAPE = circle 40", "", "SHAPE: is missing"),
        ("SHAPE = circle 40", "SHAPE = circle 0", "expected sizes above 0"),
        ("SHAPE = circle 40", "SHAPE = ring 20 40", "expected circle R, ellipse"),
        ("SHAPE = circle 40", "SHAPE = rectangle 40", "expected rectangle W H"),
        ("ROWS = 2", "", "ROWS and COLUMNS: enter both"),
        ("COLUMNS = 3", "COLUMNS = 49", "COLUMNS = 49"),
        ("ROWS = 2\nCOLUMNS = 3", "ROWS = 26\nCOLUMNS = 40", "up to 384 arenas"),
        ("SHAPE = circle 40", "SHAPE = circle 51", "A1 and A2 overlap"),
    ],
)
def test_a_grid_that_cannot_be_laid_out_is_a_problem(
    old: str, new: str, message: str
) -> None:
    assert message in " ".join(problems(RIG.replace(old, new)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[Animals]\nNAMES = anna, bob\n", "[Animals] NAMES: an animal in an arena"),
        (
            "[Trigger hut]\nKIND = InsideRegion\nBODYPARTS = centre\n"
            "REGION = circle 1 1 1\n[Animals]\nSHELTERS = hut\n",
            "[Animals] SHELTERS: animals in arenas",
        ),
        (
            "[Camera side]\nKIND = SimulatedCamera\n",
            "[Camera side]: the arenas are in the image of [Camera top]",
        ),
        ("[Arena a1]\nREGION = circle 500 500 9\n", "each animal needs a different"),
        ("[Arena trigger]\nREGION = circle 500 500 9\n", "reserved"),
    ],
)
def test_what_does_not_fit_arenas_is_a_problem(more: str, message: str) -> None:
    assert message in " ".join(problems(RIG + more))


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        ("A1", "expected an arena and its animal's name"),
        ("A1 fly1, , A2 fly2", "expected an arena and its animal's name"),
        ("A1 fly1, A1 fly2", "arena A1 is there twice"),
        ("A1 fly1, A2 fly1", "animal fly1 is there twice"),
        ("A1 fly1, A2   fly1", "animal fly1 is there twice"),
        ("A1 fly1, Z9 fly2", "there is no arena Z9"),
        ("A1 fly1", "A2, A3"),
        ("A1 fly1", "enter the animal of each arena, or - for an empty one: A2 -"),
    ],
)
def test_problems_of_subjects_name_the_arena(subjects: str, message: str) -> None:
    text = RIG.replace("[Arenas]\n", f"[Arenas]\nSUBJECTS = {subjects}\n")
    assert message in " ".join(problems(text))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("MARKERS = 0, 1, 2", "MARKERS: expected 4 different numbers"),
        ("MARKERS = 0, 1, 2, 2", "MARKERS: expected 4 different numbers"),
        ("MARKERS = 0, 1, 2, 3", "expected 16 points, not 0; press Find markers"),
    ],
)
def test_problems_of_markers_say_what_to_do(more: str, message: str) -> None:
    text = RIG.replace("[Arenas]\n", f"[Arenas]\n{more}\n")
    assert message in " ".join(problems(text))


def test_spaces_around_a_subject_are_no_part_of_its_name() -> None:
    arenas = Arenas(subjects=("A1  fly 7 ", "A2\t-", "A3   -"))
    assert arenas.subject_of == {"A1": "fly 7", "A2": NO_SUBJECT, "A3": NO_SUBJECT}


def test_live_crop_is_refused_with_arenas() -> None:
    text = RIG.replace("MODEL = background", "MODEL = arena\nLIVE_CROP = yes")
    assert "LIVE_CROP: the arenas are the crops" in " ".join(problems(text))


def test_more_than_eight_animals_need_arenas() -> None:
    names = ", ".join(f"mouse{letter}" for letter in "abcdefghi")
    text = f"[Camera top]\nKIND = SimulatedCamera\n[Animals]\nNAMES = {names}\n"
    (problem,) = problems(text)
    assert "[Animals] NAMES: 9 names, expected 8 at most" in problem


def test_touching_arenas_do_not_overlap_but_crossing_ones_do() -> None:
    left, right = Rectangle(0, 0, 50, 50), Rectangle(50, 0, 50, 50)
    wide, tall = Rectangle(0, 20, 60, 10), Rectangle(25, 0, 10, 60)
    assert list(overlaps({"a": left, "b": right})) == []
    assert list(overlaps({"a": wide, "b": tall})) == [("a", "b")]
    assert list(overlaps({"a": left, "b": left})) == [("a", "b")]
    assert list(overlaps({"a": Circle(50, 50, 40), "b": Circle(50, 50, 5)}))


@given(
    rows=st.integers(2, 8), columns=st.integers(2, 12),
    tilt=st.floats(-0.0004, 0.0004), angle=st.floats(-0.5, 0.5),
)  # fmt: skip
def test_four_corners_give_the_exact_centres_of_a_grid_in_perspective(
    rows: int, columns: int, tilt: float, angle: float
) -> None:
    down, right = np.mgrid[:rows, :columns] * 40.0
    x = right * np.cos(angle) - down * np.sin(angle)
    y = right * np.sin(angle) + down * np.cos(angle)
    true = np.stack([x, y], axis=-1) / (1 + tilt * (x + 2 * y))[..., None] + 500
    corners = true[0, 0], true[0, -1], true[-1, -1], true[-1, 0]
    points = tuple(ImagePoint(*corner.tolist()) for corner in corners)
    assert grid_centres(rows, columns, points) == pytest.approx(true, abs=1e-6)


def test_a_single_row_may_be_turned() -> None:
    centres = grid_centres(1, 3, (ImagePoint(0, 0), ImagePoint(20, 10)))
    assert centres.tolist() == [[[0, 0], [10, 5], [20, 10]]]
    with pytest.raises(ValueError, match="expected two centres"):
        grid_centres(1, 3, (ImagePoint(0, 0),) * 4)
