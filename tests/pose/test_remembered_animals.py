"""Animals that are recognised by their traits on another day, in another light."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.remembered_animals import (
    VIEWS,
    RememberedAnimals,
    WholeViews,
    remembered_of,
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


def coats_of(views: Floats) -> list[Traits]:
    """Return animals of which the coats (animal, feature) alone are known."""
    return [Traits(tuple(coat)) for coat in views.tolist()]


def test_names_given_by_coats_of_another_day_are_right() -> None:
    random = np.random.default_rng(0)
    right = wrong = 0
    for _ in range(300):
        coats = features(random.uniform(30, 220, (4, 3)))
        memory = RememberedAnimals(coats_of(in_light(coats, random)))
        # dyes fade, and a coat gets dirty
        later = coats * random.uniform(0.9, 1.1, (4, 1)) + random.normal(0, 4, (4, 1))
        order = random.permutation(4)
        found = memory.recognise(coats_of(in_light(later, random)[order]))
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
        memory = RememberedAnimals(coats_of(in_light(coats, random)))
        assert memory.alike == ((0, 1), (0, 2), (1, 2))
        assert not memory.recognise(coats_of(in_light(coats, random))).apart.any()


def test_those_that_look_different_are_recognised_among_others_that_do_not() -> None:
    memory = RememberedAnimals(coats_of(features([COATS[0], COATS[1], COATS[0]])))
    assert memory.alike == ((0, 2),)
    found = memory.recognise(coats_of(features([COATS[1], COATS[0], COATS[0]])))
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
    memory = RememberedAnimals(coats_of(features([COATS[0], COATS[1]])))
    found = memory.recognise(coats_of(views))
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


def marked(*bands: tuple[int, ...], length_px: float = 0.0) -> list[Traits]:
    """Return black animals with a mark on these segments of their tails."""
    animals = []
    for segments in bands:
        contrast = np.full((16, 3), 0.15)
        contrast[list(segments)] = 0.75
        animals.append(
            Traits((40.0,) * 9, 0, tuple(contrast.ravel().tolist()), length_px)
        )
    return animals


NONE, ONE, TWO = (), (2, 3), (2, 3, 6, 7)


def test_animals_with_other_marks_on_their_tails_are_recognised() -> None:
    memory = RememberedAnimals(marked(NONE, ONE, TWO))
    assert memory.alike == ()
    assert memory.evidence == ("tail marks",)
    # faded by a fifth, and a segment farther
    later = marked((3, 4, 7, 8), NONE, (3, 4))
    faded = [
        replace(it, marks=tuple(0.8 * np.array(it.marks)), length_px=90.0)
        for it in later
    ]
    found = memory.recognise(faded)
    assert found.names == (2, 0, 1)
    assert found.apart.sum() == 6


@pytest.mark.parametrize("unseen", ["now", "before"])
def test_a_tail_that_was_not_seen_speaks_against_no_animal(unseen: str) -> None:
    before, now = marked(NONE, ONE, TWO), marked(NONE, ONE, TWO)
    changed = now if unseen == "now" else before
    changed[1] = replace(changed[1], marks=())
    changed[2] = replace(changed[2], marks=())
    found = RememberedAnimals(before).recognise(now)
    # the first one is the only one without a band, or the only one that may be
    assert not found.apart[1, 2]
    black_and_white = [
        replace(it, coat=(level,) * 9)
        for it, level in zip(before, (40.0, 120.0, 210.0), strict=True)
    ]
    seen = [
        replace(it, coat=was.coat) for it, was in zip(now, black_and_white, strict=True)
    ]
    found = RememberedAnimals(black_and_white).recognise(seen)
    assert found.names == (0, 1, 2)
    assert found.apart.sum() == 6


def test_new_marks_say_nothing_against_a_coat() -> None:
    before = [
        replace(it, coat=(level,) * 9)
        for it, level in zip(marked(NONE, ONE), (40.0, 210.0), strict=True)
    ]
    now = [
        replace(it, marks=marks.marks)
        for it, marks in zip(
            before, marked((0, 1, 4, 5, 8, 9), (6, 7, 10, 11)), strict=True
        )
    ]
    assert RememberedAnimals(before).recognise(now).apart.sum() == 2
    alike = RememberedAnimals(marked(NONE, ONE))
    assert not alike.recognise(marked((5, 6, 9, 10, 13), (8, 9, 12, 13))).apart.any()


@pytest.mark.parametrize(("ratio", "told_apart"), [(1.1, False), (1.3, True)])
def test_animals_that_differ_much_in_length_are_recognised_though_they_grow(
    ratio: float, told_apart: bool
) -> None:
    (small,), (large,) = (
        marked(NONE, length_px=80.0),
        marked(NONE, length_px=80 * ratio),
    )
    memory = RememberedAnimals([small, large])
    now = [replace(large, length_px=80 * ratio * 1.03), replace(small, length_px=84.0)]
    found = memory.recognise(now)
    assert found.apart.any() == told_apart
    assert bool(memory.alike) != told_apart
    if told_apart:
        assert found.names == (1, 0)
        unmeasured = [replace(it, length_px=0.0) for it in now]
        assert not memory.recognise(unmeasured).apart.any()


def test_marks_of_grey_and_of_colour_images_are_not_compared() -> None:
    before, now = marked(NONE, ONE), marked(NONE, ONE)
    now = [replace(it, marks=it.marks[::3]) for it in now]
    assert not RememberedAnimals(before).recognise(now).apart.any()
    names = ["anna", "bob"]
    some = dict(zip(names, before, strict=True))
    assert remembered_of(names, some) is not None
    grey = some | {"bob": Traits((40.0,) * 3)}
    assert remembered_of(names, grey) is None
    assert remembered_of([*names, "carl"], some) is None


def day(
    tracker: IdentityTracker,
    seed: int,
    light: Callable[[Image], Image] = lambda image: image,
    frames: int = 500,
    start_s: float = 0.0,
    **kind: bool | float,
) -> Counter[tuple[int, int]]:
    """Return how often each name was given to each mouse while it was not ambiguous."""
    animals = len(tracker.skeleton.animals)
    arena = Arena((480, 640, 3), seed, shelter=False, animals=animals, **kind)  # type: ignore[arg-type]
    given: Counter[tuple[int, int]] = Counter()
    for time_s, image, pose, whose in Crowd(arena, seed, start_s=start_s).frames(
        frames
    ):
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
    given = day(first, seed=3, frames=600, alike=False)
    memory = RememberedAnimals(first.traits_now())
    later = IdentityTracker(skeleton(3), THRESHOLD, BY_TAG, remembered=memory)
    again = day(later, 5, dimmer, 250, alike=False)
    assert again.keys() == given.keys()
    assert len(given) == 3
    assert again.total() > 400


def test_alike_mice_have_no_name_on_the_next_day() -> None:
    first = IdentityTracker(skeleton(2), THRESHOLD)
    day(first, seed=3, alike=True)
    memory = RememberedAnimals(first.traits_now())
    later = IdentityTracker(skeleton(2), THRESHOLD, BY_TAG, remembered=memory)
    assert not day(later, 5, frames=200, alike=True)


def test_black_mice_with_bands_on_their_tails_have_their_names_on_the_next_day() -> (
    None
):
    rules = IdentitySettings(remember=True)
    first = IdentityTracker(skeleton(2), THRESHOLD, rules)
    # times in which they do not meet
    given = day(first, 7, frames=390, start_s=13.0, bands=True)
    traits = first.traits_now()
    assert [len(it.marks) for it in traits] == [48, 48]
    assert all(90 < it.length_px < 105 for it in traits)

    memory = RememberedAnimals(traits)
    later = IdentityTracker(skeleton(2), THRESHOLD, BY_TAG, remembered=memory)
    again = day(later, 9, dimmer, 240, 85.0, bands=True, fading=0.2)
    assert again.keys() == given.keys()
    assert again.total() > 200

    coats = [replace(it, marks=()) for it in traits]
    without = IdentityTracker(
        skeleton(2), THRESHOLD, BY_TAG, remembered=RememberedAnimals(coats)
    )
    assert not day(without, 9, dimmer, 120, 85.0, bands=True)
