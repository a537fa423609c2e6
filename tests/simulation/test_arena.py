"""The truth of the drawn arena is where the mouse is drawn, and moves as a mouse does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.frame import Image
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.simulation.mouse import mouse_at
from deeplabstream.simulation.walk import PX_PER_CM, Walk

SNOUT, LEFT, RIGHT, TAILBASE = range(4)
times = st.floats(0, 3000)


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena((480, 640, 3), noise=0.0)


@pytest.fixture(scope="module")
def bare() -> Arena:
    return Arena((480, 640), shelter=False, noise=0.0)


def drawn(arena: Arena, time_s: float, index: int = 0) -> Image:
    image = np.full(arena.shape, 77, np.uint8)
    arena.draw(image, time_s, index)
    return image


@given(times)
def test_the_truth_lies_in_the_picture(bare: Arena, time_s: float) -> None:
    points = bare.truth(time_s)
    assert points.shape == (1, len(ARENA_SKELETON.bodyparts), 2)
    assert (points > 20).all()
    assert (points < (620, 460)).all()


@given(times, st.integers(0, 5))
def test_the_walk_is_smooth_and_no_faster_than_a_mouse(
    time_s: float, seed: int
) -> None:
    walk = WALKS[seed]
    step = walk.along(time_s + 0.01, np.zeros(1)) - walk.along(time_s, np.zeros(1))
    assert np.linalg.norm(step) <= 0.01 * 32 * PX_PER_CM


WALKS = [Walk(640, 480, seed, (320, 92)) for seed in range(6)]


@given(times)
def test_the_snout_is_ahead_and_the_left_ear_on_the_left(
    bare: Arena, time_s: float
) -> None:
    (points,) = bare.truth(time_s)
    ahead = points[SNOUT] - (points[LEFT] + points[RIGHT]) / 2
    left = points[LEFT] - points[RIGHT]
    assert 15 < np.linalg.norm(ahead) < 27
    assert left @ np.array([ahead[1], -ahead[0]]) > 0  # y grows downwards
    assert np.linalg.norm(points[SNOUT] - points[TAILBASE]) < 105


@given(times)
def test_the_mouse_is_drawn_where_the_truth_says(bare: Arena, time_s: float) -> None:
    image, empty = drawn(bare, time_s), bare.background
    changed = np.abs(image.astype(int) - empty) > 25
    for x, y in bare.truth(time_s)[0, [LEFT, RIGHT, TAILBASE]]:
        around = np.s_[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
        assert changed[around].mean() > 0.3
    y, x = np.nonzero(changed)
    centre = mouse_at(bare.walk, time_s).spine[16]
    assert np.abs(np.median(np.column_stack([x, y]), axis=0) - centre).max() < 30


def test_what_is_below_the_roof_is_not_seen_and_has_no_truth(arena: Arena) -> None:
    assert arena.roof is not None
    left, top, right, bottom = arena.roof
    moments = np.arange(0, arena.lap_s, 0.1)
    truth = np.array([arena.truth(moment)[0] for moment in moments])
    hidden = np.isnan(truth).any(axis=2)
    inside = (truth > (left, top)).all(axis=2) & (truth < (right - 1, bottom - 1)).all(
        2
    )
    assert not inside.any()
    wholly = hidden.all(axis=1)
    assert 0.03 < wholly.mean() < 0.2
    image = drawn(arena, float(moments[wholly][0]))
    assert (image == arena.background)[top:bottom, left:right].all()


def test_the_mouse_is_hidden_for_a_second_or_more(arena: Arena) -> None:
    moments = np.arange(0, arena.lap_s, 0.05)
    wholly = np.array([np.isnan(arena.truth(moment)).all() for moment in moments])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wholly, [0]])))
    stays = np.diff(edges)[::2] * 0.05
    assert 2 <= len(stays) <= 6
    assert (stays > 1.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_both_halves_are_visited_again_and_again(seed: int) -> None:
    walk = WALKS[seed]
    moments = np.arange(0, 2 * walk.lap_s, 0.05)
    snout = np.array([walk.along(moment, np.zeros(1))[0] for moment in moments])
    for centre in ((160, 240), (480, 240)):
        inside = np.linalg.norm(snout - centre, axis=1) < 70
        visits = moments[1:][inside[1:] & ~inside[:-1]]
        assert visits[0] < 12
        assert np.diff(visits).max() < 18
        assert np.median(np.diff(visits)) < 11


def test_it_pauses_and_it_runs() -> None:
    moments = np.arange(0, WALKS[0].lap_s, 0.1)
    way = np.array([WALKS[0].travelled(moment) for moment in moments])
    speeds = np.diff(way) / 0.1 / PX_PER_CM  # cm/s
    assert 10 < speeds.mean() < 20
    assert (speeds < 1).mean() > 0.05
    assert (speeds > 20).mean() > 0.1


def test_the_same_seed_gives_the_same_pictures_and_another_gives_others() -> None:
    one, two, other = (Arena((96, 128, 3), seed) for seed in (4, 4, 5))
    for index in range(6):
        assert np.array_equal(
            drawn(one, index / 3, index), drawn(two, index / 3, index)
        )
    assert not np.array_equal(drawn(one, 1.0), drawn(other, 1.0))
    assert not np.array_equal(drawn(one, 1.0, 0), drawn(one, 1.0, 1))  # noise


def test_a_larger_picture_shows_the_same_mouse() -> None:
    small, large = Arena((240, 320)), Arena((480, 640))
    assert np.allclose(2 * small.truth(2.0), large.truth(2.0), atol=1e-3)


@pytest.mark.parametrize("shape", [(64, 64), (64, 400, 3), (500, 64, 3), (97, 131)])
def test_every_size_can_be_drawn(shape: tuple[int, ...]) -> None:
    assert drawn(Arena(shape), 3.0).std() > 5


def test_the_first_of_several_is_the_one_that_was_alone(arena: Arena) -> None:
    several = Arena(arena.shape, noise=0.0, animals=3)
    for time_s in (0.0, 3.3, 71.0):
        assert np.array_equal(
            several.truth(time_s)[:1], arena.truth(time_s), equal_nan=True
        )
        other = Arena(arena.shape, seed=2000, noise=0.0)
        assert np.array_equal(
            several.truth(time_s)[2:], other.truth(time_s), equal_nan=True
        )


@pytest.mark.parametrize("number", [2, 4])
def test_several_animals_meet_and_cover_one_another_often(number: int) -> None:
    arena = Arena((480, 640), shelter=False, animals=number)
    moments = np.arange(0, 60, 1 / 15)
    middles = np.stack([arena.truth(moment).mean(axis=1) for moment in moments])
    meetings = 0
    for one in range(number):
        for two in range(one):
            apart = np.linalg.norm(middles[:, one] - middles[:, two], axis=1)
            meetings += int(((apart[1:] < 60) & (apart[:-1] >= 60)).sum())
    assert meetings >= 8 * (number - 1)
    covered = np.stack([arena.covered(moment) for moment in moments])
    assert covered.any(axis=(0, 2)).tolist() == [True] * (number - 1) + [False]
    assert 0.01 < covered[:, :-1].mean() < 0.4


@pytest.mark.parametrize("grey", [False, True])
def test_each_animal_has_a_coat_of_its_own_where_they_are_not_alike(grey: bool) -> None:
    shape = (480, 640) if grey else (480, 640, 3)
    arena = Arena(shape, shelter=False, noise=0.0, animals=4, alike=False)
    mice = [mouse_at(walk, 5.0) for walk in arena.walks]
    image = drawn(arena, 5.0)
    x, y = np.array([mouse.spine[18] for mouse in mice]).round().astype(int).T
    backs = image[y, x].reshape(4, -1).mean(axis=1)
    assert np.diff(np.sort(backs)).min() > 20
    alike = drawn(Arena(shape, shelter=False, noise=0.0, animals=4), 5.0)
    assert np.ptp(alike[y, x].astype(int), axis=0).max() < 8


def test_tails_can_have_bands_and_nothing_else_differs() -> None:
    """The second animal has one band, the third two: more dark pixels behind its body."""
    plain = drawn(Arena((480, 640, 3), shelter=False, noise=0.0, animals=3), 5.0)
    arena = Arena((480, 640, 3), shelter=False, noise=0.0, animals=3, bands=True)
    changed = (drawn(arena, 5.0) != plain).any(axis=2)
    y, x = np.nonzero(changed)
    away = np.linalg.norm(
        np.stack([x, y], axis=-1)[:, None] - arena.truth(5.0)[:, 3], axis=-1
    )
    counts = np.bincount(away.argmin(axis=1), minlength=3)
    assert away.min(axis=1).max() < 60
    assert counts[0] == 0
    assert counts[2] > 1.5 * counts[1] > 0
