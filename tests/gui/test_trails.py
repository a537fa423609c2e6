from dataclasses import replace

import numpy as np
import pytest
from PyQt5.QtGui import QColor
from pytestqt.qtbot import QtBot

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose
from deeplabstream.gui.theme import animal_colour
from deeplabstream.gui.widgets.frame_overlay import TRAIL_NS, Trail, middles
from deeplabstream.gui.widgets.video_view import VideoView
from tests.gui.fake_session import SKELETON, make_step

PERIOD_NS = 20_000_000


def step_at(index: int, x: float, y: float, *, lost: bool = False) -> Step:
    """Return a step whose animal is all at one place, or was not found."""
    points = np.full((1, 3, 2), (x, y), np.float32)
    confidence = np.full((1, 3), 0.0 if lost else 1.0, np.float32)
    pose = Pose(SKELETON, points, confidence)
    return replace(make_step(index, period_ns=PERIOD_NS), pose=pose)


def test_the_middle_is_of_what_is_seen_if_half_of_it_is() -> None:
    assert middles(make_step(0), 0.5)[0] == pytest.approx((46.667, 50), abs=0.01)
    two = make_step(0, confidence=(1.0, 1.0, 0.1))
    assert middles(two, 0.5)[0] == pytest.approx((55, 45))
    assert np.isnan(middles(make_step(0, confidence=(1.0, 0.1, 0.1)), 0.5)).all()


def brightness(view: VideoView, x: float, y: float) -> int:
    place = view.place
    assert place is not None
    left, top = (int(value) for value in place.to_view((x, y)))
    colour = QColor(view.grab().toImage().pixel(left, top))
    return int(colour.lightness())


@pytest.fixture
def view(qtbot: QtBot) -> VideoView:
    made = VideoView("arena")
    qtbot.addWidget(made)
    made.resize(800, 500)
    made.trail = Trail()
    return made


def walk(view: VideoView, steps: list[Step]) -> None:
    assert view.trail is not None
    for step in steps:
        view.trail.add(step, 0.5)
    view.show_image(np.zeros((100, 160), np.uint8), steps[-1].index, steps[-1])


def test_the_way_fades_and_is_gone_after_its_time(view: VideoView) -> None:
    ticks = TRAIL_NS // PERIOD_NS
    walk(view, [step_at(n, 20 + n, 70) for n in range(ticks)])
    shown = [brightness(view, x, 70) for x in (25, 50, 80)]
    assert shown[0] > 10
    assert shown == sorted(shown)
    assert brightness(view, 50, 80) == 0
    walk(view, [step_at(ticks + n, 95 + n / 10, 30) for n in range(ticks + 2)])
    assert brightness(view, 50, 70) == 0
    assert brightness(view, 96, 30) > 10


def test_where_it_was_lost_there_is_no_line(view: VideoView) -> None:
    there = [step_at(n, 20 + n, 70) for n in range(20)]
    lost = [step_at(20 + n, 0, 0, lost=True) for n in range(5)]
    again = [step_at(25 + n, 90 + n, 70) for n in range(20)]
    walk(view, [*there, *lost, *again])
    assert brightness(view, 30, 70) > 10
    assert brightness(view, 60, 70) == 0
    assert brightness(view, 100, 70) > 10


def test_without_a_trail_nothing_is_painted(view: VideoView) -> None:
    walk(view, [step_at(n, 20 + n, 70) for n in range(50)])
    view.trail = None
    assert brightness(view, 40, 70) == 0


def test_several_animals_have_ways_of_their_own_colours(view: VideoView) -> None:
    def both(index: int) -> Step:
        places = [[(20 + index, 30)] * 3, [(20 + index, 70)] * 3]
        pose = Pose(SKELETON, np.array(places, np.float32), np.ones((2, 3), np.float32))
        return replace(make_step(index, period_ns=PERIOD_NS), pose=pose)

    walk(view, [both(n) for n in range(TRAIL_NS // PERIOD_NS)])
    place = view.place
    assert place is not None
    shown = view.grab().toImage()
    for animal, y in enumerate((30, 70)):
        left, top = (int(value) for value in place.to_view((85, y)))
        colour = shown.pixelColor(left, top)
        assert abs(colour.hue() - animal_colour(animal).hue()) < 12
