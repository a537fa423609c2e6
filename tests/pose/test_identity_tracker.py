"""Animals that meet, cover and hide one another keep their names, or are in doubt."""

from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest

from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from tests.pose.crowd import (
    FLY,
    SLEAP,
    THRESHOLD,
    Crowd,
    Found,
    Nearest,
    Tally,
    flies,
    followed,
    skeleton,
    sleap_flies,
)

SHAPE = (240, 320, 3)


def crossing(
    animals: int, alike: bool, seed: int, pictures: int = 420, **rules: object
) -> tuple[Crowd, Tally]:
    arena = Arena(SHAPE, seed, shelter=False, animals=animals, alike=alike)
    crowd = Crowd(arena, seed, noise_px=0.8, merge_px=8)
    identity = IdentityTracker(skeleton(animals), THRESHOLD, IdentitySettings(**rules))  # type: ignore[arg-type]
    return crowd, followed(crowd, identity, pictures)


@pytest.mark.parametrize(("animals", "seed"), [(2, 2), (4, 0)])
def test_animals_that_look_different_are_never_taken_for_one_another(
    animals: int, seed: int
) -> None:
    crowd, tally = crossing(animals, alike=False, seed=seed)
    assert crowd.covered > 30
    assert tally.silent == 0
    assert tally.told > 120 * animals
    assert tally.doubted < 0.25 * tally.told


@pytest.mark.parametrize(("animals", "seed"), [(2, 2), (4, 0)])
def test_animals_that_look_alike_are_in_doubt_rather_than_wrong(
    animals: int, seed: int
) -> None:
    _, tally = crossing(animals, alike=True, seed=seed)
    assert tally.silent == 0
    assert tally.exchanged == 0  # nothing could tell


def test_an_exchange_is_mended_and_said() -> None:
    _, tally = crossing(4, alike=False, seed=0, pictures=900)
    assert tally.exchanged >= 2
    assert tally.wrong > 0
    assert tally.silent == 0


def test_motion_is_believed_after_a_while_if_that_is_asked() -> None:
    _, doubting = crossing(2, alike=True, seed=2, pictures=300)
    _, believing = crossing(2, alike=True, seed=2, pictures=300, believe_after_s=0.5)
    assert believing.believed > 0
    assert believing.doubted < doubting.doubted / 2


def test_the_same_pictures_give_the_same_names() -> None:
    def told() -> list[tuple[str, ...]]:
        arena = Arena(SHAPE, 3, animals=3, alike=False)
        identity = IdentityTracker(skeleton(3), THRESHOLD)
        return [
            (*identity.update(image, pose, time_s).identity,)
            for time_s, image, pose, _ in Crowd(arena, 3).frames(60)
        ]

    assert told() == told()


@pytest.mark.parametrize("start_s", [3.9, 9.1, 26.0])
@pytest.mark.parametrize("first", ["leftmost", "darkest"])
def test_names_are_given_from_left_to_right_or_from_dark_to_pale(
    first: str, start_s: float
) -> None:
    arena = Arena((480, 640), 0, shelter=False, animals=4, alike=False)
    crowd = Crowd(arena, dropouts=0.0, start_s=start_s)
    identity = IdentityTracker(skeleton(4), THRESHOLD, IdentitySettings(first=first))  # type: ignore[arg-type]
    begins = arena.truth(start_s).mean(axis=1)
    for time_s, image, pose, _whose in crowd.frames(300):
        truth = arena.truth(time_s).mean(axis=1)
        out = identity.update(image, pose, time_s)
        if not any(map(out.is_ambiguous, range(4))):
            break
    # Two that are found as one before they have names may come apart in either order
    assert crowd.merged == 0
    found = np.nanmean(out.points, axis=1)
    away = np.linalg.norm(found[:, None] - truth[None], axis=-1)
    order = [0, 2, 3, 1] if first == "darkest" else begins[:, 0].argsort().tolist()
    assert away.argmin(axis=1).tolist() == order


@pytest.mark.parametrize(("late", "leftmost"), [(0, 1), (5, 1), (10, 0)])
def test_animals_found_at_about_the_same_time_are_sorted_once(
    late: int, leftmost: int
) -> None:
    """Animal 1 is on the left when it is found; then they pass each other."""
    found = flies(60, apart_px=150, missing=0, dropouts=0, mixed=0)
    tracker = IdentityTracker(replace(FLY, animals=("one", "other")), THRESHOLD)
    owners, known = [], []
    for index, (time_s, image, pose, whose) in enumerate(found.frames(60)):
        if index < late:
            row = whose.index(1)
            pose.points[row], pose.confidence[row] = np.nan, 0.0
        out = tracker.update(image, pose, time_s)
        off = np.nanmean(np.abs(out.points[0] - found.truth[index]), axis=(1, 2))
        owners.append(int(off.argmin()))
        known.append(not out.is_ambiguous(0))
    assert set(owners[late:]) == {leftmost}
    assert not known[late]
    assert known[-1]


def test_who_hid_under_a_roof_alone_is_known_when_it_comes_out() -> None:
    arena = Arena(SHAPE, 0, shelter=True, animals=2, alike=True)
    crowd = Crowd(arena, 0, noise_px=0.8, merge_px=8, dropouts=0.0, start_s=6.0)
    identity = IdentityTracker(skeleton(2), THRESHOLD)
    tally = followed(crowd, identity, 450)
    assert tally.silent == 0


def test_one_that_is_far_from_where_it_was_is_a_stray() -> None:
    identity = IdentityTracker(skeleton(2), THRESHOLD)
    image = np.full((400, 400), 90, np.uint8)
    shape = np.array([[0, 0], [8, -6], [8, 6], [40, 0]], np.float32)

    def shown(*places: tuple[float, float], time_s: float) -> Pose:
        points = np.full((2, 4, 2), np.nan, np.float32)
        for row, place in enumerate(places):
            points[row] = shape + np.float32(place)
        sure = np.isfinite(points[..., 0]).astype(np.float32)
        return identity.update(image, Pose(ARENA_SKELETON, points, sure), time_s)

    for index in range(20):
        told = shown((300, 300), (50, 50), time_s=index / 30)
    assert told.identity == ("", "")
    assert told.points[0, 0].tolist() == [50, 50]
    told = shown((300, 300), (200, 180), time_s=20 / 30)
    assert told.identity == ("stray", "")
    assert told.points[0, 0].tolist() == [200, 180]
    told = shown((50, 51), time_s=21 / 30)
    assert told.identity == ("", "")
    assert np.isnan(told.points[1]).all()
    assert (told.confidence[1] == 0).all()
    names = replace(ARENA_SKELETON, animals=("anna", "bob"))
    assert told.skeleton == names


def followed_flies(found: Found, frames: int, **rules: object) -> Tally:
    named = replace(found.skeleton, animals=("female", "male"))
    rule = IdentitySettings(**rules)  # type: ignore[arg-type]
    return followed(found, IdentityTracker(named, THRESHOLD, rule), frames)


@pytest.mark.parametrize("first", ["leftmost", "darkest"])
@pytest.mark.parametrize("noise_px", [2.0, 4.0])
def test_animals_whose_legs_always_touch_are_named_and_never_switched(
    first: str, noise_px: float
) -> None:
    tally = followed_flies(flies(300, noise_px=noise_px), 300, first=first)
    assert 0 < tally.named <= 2 * 30
    assert tally.switches == tally.wrong == tally.silent == tally.exchanged == 0
    assert tally.frames - tally.named <= 0.05 * 300


def test_two_points_of_a_large_body_are_as_noisy_as_they_are() -> None:
    found = flies(300, parts=("head", "thorax"), noise_px=4, missing=0.03, mixed=0)
    tally = followed_flies(found, 300)
    assert tally.switches == tally.wrong == tally.silent == 0
    assert tally.frames <= 0.05 * 300


@pytest.mark.parametrize("seed", range(3))
def test_a_poor_detector_does_not_swap_animals_that_are_always_far_apart(
    seed: int,
) -> None:
    """Most parts are missing and jitter; plain matching never swaps these two."""
    found = flies(
        600, apart_px=150, swing_px=20, noise_px=10, dropouts=0.6, missing=0.05,
        mixed=0, seed=seed,
    )  # fmt: skip
    found = replace(found, images=lambda: repeat(np.full((512, 512), 128, np.uint8)))
    tally = followed_flies(found, 600)
    assert followed(found, Nearest(2), 600).switches == 0
    assert tally.named >= 0
    assert tally.switches == tally.wrong == tally.silent == 0


def test_animals_that_walk_through_each_other_stay_in_doubt() -> None:
    """Motion can't tell them apart, nor can their looks."""
    tally = followed_flies(flies(300, apart_px=0, swing_px=150), 300)
    assert tally.named > 0
    assert tally.silent == tally.exchanged == 0
    assert tally.frames > 150


@pytest.mark.skipif(not SLEAP.exists(), reason="SLEAP's clip of two flies is not here")
def test_sleaps_flies_keep_their_names_as_plain_matching_does() -> None:
    found = sleap_flies(mixed=0.3, dropouts=0.15, noise_px=4)
    tally = followed_flies(found, 1500)
    unseen = replace(found, images=lambda: repeat(np.zeros((8, 8), np.uint8)))
    assert followed(unseen, Nearest(2), 1500).switches == 0
    assert tally.switches == tally.wrong == tally.silent == tally.exchanged == 0
    assert 0 < tally.named <= 2 * 25
    assert tally.frames <= 0.05 * 1500
