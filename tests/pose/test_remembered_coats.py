"""Animals that are recognised by their coats on another day, in another light."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.remembered_coats import (
    VIEWS,
    RememberedCoats,
    WholeViews,
)
from deeplabstream.simulation.arena import Arena
from deeplabstream.simulation.mouse import COATS
from tests.pose.crowd import THRESHOLD, Crowd, owner_of, skeleton

Floats = NDArray[np.float64]
BY_TAG = IdentitySettings(first="tags")


def features(coats: object) -> Floats:
    """Return features of coats (animal, 3): quartiles 8 grey levels apart."""
    quartiles = np.array([-8.0, 0.0, 8.0])[None, :, None]
    return (np.asarray(coats)[:, None] + quartiles).reshape(len(np.asarray(coats)), -1)


def in_light(coats: Floats, random: np.random.Generator) -> Floats:
    """Return the features of coats in the light of some day, which is not even."""
    each = random.uniform(0.97, 1.03, (len(coats), 1))
    light = random.uniform(0.9, 1.1) * each * np.tile(random.uniform(0.97, 1.03, 3), 3)
    seen = coats * light + random.uniform(-6, 6) + random.normal(0, 1.5, coats.shape)
    return np.asarray(seen.clip(0, 255))


def test_names_given_by_coats_of_another_day_are_right() -> None:
    random = np.random.default_rng(0)
    right = wrong = 0
    for _ in range(300):
        coats = features(random.uniform(30, 220, (4, 3)))
        memory = RememberedCoats(in_light(coats, random))
        # dyes fade, and a coat gets dirty
        later = coats * random.uniform(0.9, 1.1, (4, 1)) + random.normal(0, 4, (4, 1))
        order = random.permutation(4)
        found = memory.recognise(in_light(later, random)[order])
        for row, name in enumerate(found.names):
            if found.apart[name].sum() == 3:
                right += order[row] == name
                wrong += order[row] != name
    assert wrong == 0
    assert right > 600


def test_animals_that_look_nearly_alike_are_not_recognised() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        coats = features(np.array(COATS[3]) + random.normal(0, 6, (3, 3)))
        memory = RememberedCoats(in_light(coats, random))
        assert memory.alike == ((0, 1), (0, 2), (1, 2))
        assert not memory.recognise(in_light(coats, random)).apart.any()


def test_those_that_look_different_are_recognised_among_others_that_do_not() -> None:
    memory = RememberedCoats(features([COATS[0], COATS[1], COATS[0]]))
    assert memory.alike == ((0, 2),)
    found = memory.recognise(features([COATS[1], COATS[0], COATS[0]]))
    assert found.names[0] == 1
    assert found.apart.tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]


@pytest.mark.parametrize(
    ("views", "why"),
    [
        (features([COATS[0], COATS[3]]), "looks like none"),
        (features([COATS[0], COATS[1]]) + 80, "light"),
        (np.full((2, 3), 90.0), "grey or colour"),
    ],
)
def test_animals_that_are_not_those_of_the_earlier_run_are_not_recognised(
    views: Floats, why: str
) -> None:
    memory = RememberedCoats(features([COATS[0], COATS[1]]))
    found = memory.recognise(views)
    assert why in found.misfit
    assert not found.apart.any()


def test_views_are_averaged_anew_after_a_possible_switch() -> None:
    views = WholeViews(2)
    dark, pale = np.full(3, 40.0), np.full(3, 200.0)
    for _ in range(VIEWS - 1):
        assert views.update({0: dark, 1: pale}) is None
    views.reset((0,))
    for _ in range(VIEWS - 1):
        assert views.update({0: pale}) is None
    views.reorder((1, 0))
    means = views.update({0: pale, 1: pale})
    assert means is not None
    assert means.tolist() == [pale.tolist(), pale.tolist()]
    assert views.update({0: dark, 1: pale}) is None


def day(
    tracker: IdentityTracker,
    seed: int,
    light: Callable[[Image], Image] = lambda image: image,
    frames: int = 500,
    alike: bool = False,
) -> Counter[tuple[int, int]]:
    """Return how often each name was given to each mouse while it was not ambiguous."""
    animals = len(tracker.skeleton.animals)
    arena = Arena((480, 640, 3), seed, shelter=False, animals=animals, alike=alike)
    given: Counter[tuple[int, int]] = Counter()
    for time_s, image, pose, whose in Crowd(arena, seed).frames(frames):
        named = tracker.update(light(image), pose, time_s)
        given.update(names(named, pose, whose))
    return given


def names(named: Pose, pose: Pose, whose: list[int]) -> list[tuple[int, int]]:
    """Return name and mouse of each animal that has a name for certain."""
    found = []
    for name, points in enumerate(named.points):
        owner = owner_of(points, pose, whose)
        if owner >= 0 and not named.is_ambiguous(name) and not named.identity[name]:
            found.append((name, owner))
    return found


def dimmer(image: Image) -> Image:
    """Return an image in the light of another day: darker at the right, reddish."""
    field = np.linspace(1.0, 0.88, image.shape[1])[None, :, None]
    return np.asarray((image * field * np.array([0.88, 0.92, 0.95])), np.uint8)


def test_mice_have_the_names_of_the_day_before_wherever_they_begin() -> None:
    first = IdentityTracker(skeleton(3), THRESHOLD)
    given = day(first, seed=3)
    coats = [coat.features for coat in first.coats_now()]
    assert len(coats) == 3
    later = IdentityTracker(
        skeleton(3), THRESHOLD, BY_TAG, coats=RememberedCoats(coats)
    )
    again = day(later, 5, dimmer, 250)
    assert again.keys() == given.keys()
    assert len(given) == 3
    assert again.total() > 400


def test_alike_mice_have_no_name_on_the_next_day() -> None:
    first = IdentityTracker(skeleton(2), THRESHOLD)
    day(first, seed=3, alike=True)
    memory = RememberedCoats([coat.features for coat in first.coats_now()])
    later = IdentityTracker(skeleton(2), THRESHOLD, BY_TAG, coats=memory)
    assert not day(later, 5, frames=200, alike=True)
