from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt5.QtCore import QRectF
from PyQt5.QtGui import QColor, QImage, QPainter

from deeplabstream.core.pose import Pose
from deeplabstream.engine.trigger_shapes import TriggerShape, trigger_shapes_of
from deeplabstream.gui.theme import AMBER, GREEN, RED, bodypart_colour
from deeplabstream.gui.widgets import frame_overlay
from deeplabstream.gui.widgets.frame_overlay import (
    draw_pose,
    draw_state,
    draw_zones,
    fit,
    free_shift,
    zone_pen,
)
from deeplabstream.settings.loading import parse
from tests.gui.fake_session import (
    POINTS,
    SKELETON,
    close_to,
    make_settings,
    make_step,
)

SIZES = st.integers(1, 2000)


@given(SIZES, SIZES, SIZES, SIZES)
def test_a_picture_fills_its_room_and_keeps_its_proportions(
    width: int, height: int, wide: int, high: int
) -> None:
    place = fit(width, height, QRectF(10, 20, wide, high))
    left, top = place.to_view((-0.5, -0.5))
    right, bottom = place.to_view((width - 0.5, height - 0.5))
    assert (right - left) * height == pytest.approx((bottom - top) * width)
    filled = max((right - left) / wide, (bottom - top) / high)
    assert filled == pytest.approx(1)
    assert (left + right) / 2 == pytest.approx(10 + wide / 2)
    assert (top + bottom) / 2 == pytest.approx(20 + high / 2)


class Canvas:
    """A picture of 160×100 pixels, shown four times as large, to draw above."""

    def __init__(self) -> None:
        self.image = QImage(700, 400, QImage.Format.Format_RGB32)
        self.image.fill(QColor(0, 0, 0))
        self.painter = QPainter(self.image)
        self.place = fit(160, 100, QRectF(self.image.rect()))

    def colour(self, x: float, y: float) -> QColor:
        """Return what is seen at a point of the small picture."""
        view_x, view_y = self.place.to_view((x, y))
        return QColor(self.image.pixel(round(view_x), round(view_y)))


@pytest.fixture
def canvas(qapp: object) -> Iterator[Canvas]:
    made = Canvas()
    yield made
    made.painter.end()


def test_each_point_lies_where_it_was_found(canvas: Canvas) -> None:
    draw_pose(canvas.painter, canvas.place, make_step(0), 0.5)
    for part, (x, y) in enumerate(POINTS[0]):
        assert canvas.colour(x, y) == bodypart_colour(part)
    assert canvas.colour(55, 45) != QColor(0, 0, 0), "an edge"


def test_unsure_points_are_faint_and_have_no_edges(canvas: Canvas) -> None:
    step = make_step(0, confidence=(0.4, 1, 1))
    draw_pose(canvas.painter, canvas.place, step, 0.5)
    assert canvas.colour(60, 40) == QColor(0, 0, 0), "hollow"
    assert canvas.colour(55, 45) == QColor(0, 0, 0), "no edge"
    assert canvas.colour(50, 50) == bodypart_colour(1)


def test_a_point_that_was_not_seen_is_not_drawn(canvas: Canvas) -> None:
    step = make_step(0)
    step.pose.points[:] = np.nan
    draw_pose(canvas.painter, canvas.place, step, 0.5)
    painted = canvas.image.bits()
    assert painted is not None
    painted.setsize(canvas.image.sizeInBytes())
    assert not np.frombuffer(painted, np.uint8).reshape(-1, 4)[:, :3].any()


def test_what_was_refused_is_crossed_out_and_what_is_held_is_hollow(
    canvas: Canvas,
) -> None:
    step = make_step(0)
    seen = Pose(step.pose.skeleton, step.pose.points.copy(), step.pose.confidence)
    seen.points[0, 0] = np.nan
    seen.points[0, 1] = 20, 20
    names = step.pose.names
    flags = {names[0]: "jump", names[1]: "bone+held"}
    draw_pose(canvas.painter, canvas.place, replace(step, flags=flags, seen=seen), 0.5)
    for x, y in POINTS[0][:2]:
        assert canvas.colour(x, y) == QColor(RED)
    assert canvas.colour(19.5, 19.5) == QColor(0, 0, 0), "hollow"
    ring = [canvas.colour(18.5, 20 + n / 8) for n in range(-4, 5)]
    assert any(close_to(colour, bodypart_colour(1)) for colour in ring)
    assert canvas.colour(*POINTS[0][2]) == bodypart_colour(2)


def test_a_zone_in_millimetres_is_drawn_where_its_camera_shows_it() -> None:
    words = "[Camera top]\nKIND = SimulatedCamera\nMM_PER_PIXEL = 0.5\n"
    words += "[Trigger a]\nKIND = InsideRegion\nBODYPARTS = snout\nUNIT = mm\n"
    (zone,) = trigger_shapes_of(
        parse(words + "REGION = rectangle 10 20 30 40\n", Path())
    )
    np.testing.assert_allclose(zone.outline[[0, 2]], [(20, 40), (80, 120)])


@pytest.mark.parametrize("answer", [True, False])
def test_the_border_of_a_zone_tells_the_answer(canvas: Canvas, answer: bool) -> None:
    zones = trigger_shapes_of(make_settings("arena"))
    draw_zones(canvas.painter, canvas.place, zones, {"there": answer, "here": None})
    border = canvas.colour(100, 80)
    assert close_to(border, GREEN) == answer
    assert canvas.colour(120, 80).green() > 0 if answer else True


def test_unknown_is_dashed_and_neither_green_nor_blue() -> None:
    styles = {answer: zone_pen(answer) for answer in (True, False, None)}
    assert len({pen.color().name() for pen in styles.values()}) == 3
    assert styles[None].style() != styles[False].style()


def test_a_point_to_look_at_is_a_cross(canvas: Canvas) -> None:
    zone = TriggerShape("look", "arena", np.array([[80.0, 50.0]]))
    draw_zones(canvas.painter, canvas.place, [zone], {"look": True})
    assert close_to(canvas.colour(80, 50), GREEN)


def test_a_name_that_would_cover_the_next_arena_is_left_out(canvas: Canvas) -> None:
    square = np.array([[40.0, 40], [50, 40], [50, 50], [40, 50]])
    for trigger, written in (("left half.A1", False), ("left half", True)):
        canvas.image.fill(QColor(0, 0, 0))
        zone = TriggerShape(trigger, "arena", square)
        draw_zones(canvas.painter, canvas.place, [zone], None)
        # above the zone, right of it: only a name reaches there
        beside = {canvas.colour(x, 36).name() for x in np.arange(51, 55, 0.25)}
        assert (len(beside) > 1) == written


def test_an_output_that_is_on_frames_the_picture(canvas: Canvas) -> None:
    picture = QRectF(30, 0, 640, 400)
    draw_state(canvas.painter, picture, None, {"laser": 0.0})
    assert QColor(canvas.image.pixel(32, 200)) == QColor(0, 0, 0)
    draw_state(canvas.painter, picture, None, {"laser": 1.0})
    assert QColor(canvas.image.pixel(32, 200)) == QColor(AMBER)


def test_a_lost_animal_is_told(canvas: Canvas) -> None:
    picture = QRectF(30, 0, 640, 400)
    draw_state(canvas.painter, picture, make_step(0, lost=True), {})
    written = {
        QColor(canvas.image.pixel(x, y)).name()
        for x in range(250, 450)
        for y in range(360, 390)
    }
    assert QColor(RED).name() in written


@pytest.mark.parametrize(
    ("states", "words", "said"),
    [
        ({"bob left": None}, ("doubt1", ""), "Identities are ambiguous: no decisions"),
        (
            {"any near": True, "bob left": None, "bob right": None},
            ("doubt1", ""),
            "Identities are ambiguous: bob left, bob right unknown",
        ),
        ({"any near": True, "bob left": None}, (), "Animal lost: bob left unknown"),
        ({"any near": True}, (), "Animal lost: triggers unknown"),
    ],
)
def test_no_decisions_are_said_only_while_all_triggers_are_unknown(
    canvas: Canvas,
    monkeypatch: pytest.MonkeyPatch,
    states: dict[str, bool | None],
    words: tuple[str, ...],
    said: str,
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(
        frame_overlay, "draw_tag", lambda _p, _c, text, *_, **__: texts.append(text)
    )
    step = make_step(0, states, lost=True)
    points = np.ones((2, 3, 2), np.float32)
    two = Pose(
        replace(SKELETON, animals=("anna", "bob")), points, points[..., 0], words
    )
    draw_state(canvas.painter, QRectF(30, 0, 640, 400), replace(step, pose=two), {})
    assert texts == [said]


def test_names_of_animals_that_are_close_do_not_cover_each_other() -> None:
    plates = list[QRectF]()
    wanted = QRectF(100, 50, 30, 18)
    for _ in range(4):
        plates.append(wanted.translated(0, free_shift(wanted, plates)))
    assert not any(one.intersects(other) for one, other in combinations(plates, 2))
    assert all(plate.top() >= 2 for plate in plates)


def test_in_a_narrow_image_the_reason_alone_is_said(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(
        frame_overlay, "draw_tag", lambda _p, _c, text, *_, **__: texts.append(text)
    )
    step = make_step(0, {"bob left": None, "bob right": None, "near": True}, lost=True)
    draw_state(canvas.painter, QRectF(0, 0, 190, 120), step, {})
    assert texts == ["Animal lost"]
