"""Parts of animals are compared with the same lines of each animal."""

import numpy as np
import pytest

from deeplabstream.pose.tracking.appearance_model import (
    FLOOR,
    line_colours,
    line_points,
)
from deeplabstream.pose.tracking.line_appearance import LineAppearance
from deeplabstream.simulation.arena import ARENA_SKELETON
from tests.pose.test_identity_ambiguity import APART, SHAPE, UPON, Scene

NOT_CLEAR = np.nan
HEAD_AND_BODY = np.array([[200.0], [60.0]])
"""(line, channel) of an animal with a pale head."""


def test_the_colour_of_a_line_is_the_median_of_its_clear_points() -> None:
    image = np.arange(100, dtype=np.uint8).reshape(1, 100)
    body = np.array([[x, 0.0] for x in (1, 2, 90, 4, 5, 6, 7, 8, 9)])
    clear = np.array([True] * 3 + [True, False, False] + [False] * 3)
    colours = line_colours(image, body, clear)
    assert colours[:2].tolist() == [[2], [4]]
    assert np.isnan(colours[2]).all()
    # the same for frames of 16 bits
    many = line_colours(image.astype(np.uint16) * 257, body, clear)
    np.testing.assert_allclose(many, colours)


def test_lines_with_an_end_that_is_not_visible_have_no_points() -> None:
    points = SHAPE.astype(np.float64)
    points[0] = np.nan
    lines = line_points(points, ARENA_SKELETON)
    of_snout = [
        0 in ARENA_SKELETON.indices(edge)
        for edge in ARENA_SKELETON.edges
        for _ in range(3)
    ]
    assert np.isnan(lines[:, 0]).tolist() == of_snout


def learned(*animals: np.ndarray) -> LineAppearance:
    lines = LineAppearance(len(animals), most_views=5)
    for _ in range(10):
        for animal, colours in enumerate(animals):
            lines.learn(animal, colours)
    return lines


def test_a_part_costs_as_much_as_its_lines_differ() -> None:
    lines = learned(HEAD_AND_BODY, HEAD_AND_BODY[::-1])
    lines.add_part(1, np.array([[200.0], [NOT_CLEAR]]), 0.7)
    assert lines.counts.tolist() == [0, 0.7]
    assert lines.costs[1] == pytest.approx([0, 140**2 / FLOOR**2])
    for _ in range(20):
        lines.add_part(1, np.array([[60.0], [NOT_CLEAR]]), 1.0)
    assert lines.costs[1, 1] < lines.costs[1, 0] / 10
    lines.reorder([1, 0])
    assert lines.counts.argmax() == 0
    assert lines.costs[0, 1] < lines.costs[0, 0]
    lines.discard_parts([0])
    assert not lines.counts.any() and not lines.costs.any()


def test_lines_that_were_not_learned_of_all_animals_say_nothing() -> None:
    only_head = np.array([[60.0], [NOT_CLEAR]])
    lines = learned(HEAD_AND_BODY, only_head)
    lines.add_part(0, np.array([[NOT_CLEAR], [60.0]]), 1.0)
    lines.add_part(0, np.full((2, 1), NOT_CLEAR), 1.0)
    lines.add_part(0, np.full((2, 3), 60.0), 1.0)  # a colour frame
    assert not lines.counts.any()
    lines.add_part(0, only_head, 1.0)
    assert lines.counts[0] == 1
    lines.reset([1])
    lines.add_part(0, only_head, 1.0)
    assert lines.counts[0] == 1


def test_a_head_alone_names_an_animal_by_the_heads_of_all() -> None:
    scene = Scene(shades=(40, 220))
    scene.heads = scene.shades[::-1]
    scene.shown(*APART, times=400)
    scene.shown(*UPON)
    assert scene.show(*UPON).identity == ("doubt1", "doubt1")
    for _ in range(20):
        told = scene.show(None, APART[1], parts=3)
    assert told.identity[1] == ""
    assert told.points[1, 0].tolist() == list(APART[1])
