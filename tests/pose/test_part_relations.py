"""Relative positions of body parts choose among peaks and lower confidences."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.part_relations import PartRelations
from deeplabstream.training.data.learned_relations import learned_relations

HEIGHT, WIDTH = 60, 80
SHAPE = np.array([[0, -30], [24, 0], [-24, 0], [0, 36]], np.float32)
"""Nose, two ears, tail."""
MIDDLE = np.array([150, 120], np.float32)
PARTS = ("nose", "left", "right", "tail")
PLAIN = Heatmaps(4, 1.25)
Points = NDArray[np.float32]


def labelled(turn_deg: float, count: int = 40, seed: int = 0) -> Points:
    """Return poses of `SHAPE`, rotated by up to `turn_deg`."""
    rng = np.random.default_rng(seed)
    turns = np.radians(rng.uniform(-turn_deg, turn_deg, count))
    matrix = np.array([[np.cos(turns), -np.sin(turns)], [np.sin(turns), np.cos(turns)]])
    poses = np.einsum("ijn,pj->npi", matrix, SHAPE) + rng.normal(0, 2, (count, 4, 2))
    return (poses + rng.uniform(100, 200, (count, 1, 2))).astype(np.float32)


def related(turn_deg: float = 5) -> Heatmaps:
    return Heatmaps(4, 1.25, relations=learned_relations(labelled(turn_deg)))


def maps_of(*peaks: tuple[int, tuple[float, float], float]) -> Points:
    """Return maps (1, 4, h, w) of `SHAPE`, of height 0.8, and of other peaks.

    A peak is its body part, its point and its height; height 0 removes that of `SHAPE`.
    """
    maps = 0.8 * PLAIN.gaussians(SHAPE + MIDDLE, HEIGHT, WIDTH)
    for part, point, height in peaks:
        if height == 0:
            maps[part] = 0
            continue
        other = PLAIN.gaussians(np.array([point], np.float32), HEIGHT, WIDTH)[0]
        maps[part] = np.maximum(maps[part], height * other)
    return np.asarray(maps[None], np.float32)


@pytest.mark.parametrize("turn_deg", [5, 180])
def test_of_two_peaks_the_one_at_the_usual_place_is_chosen(turn_deg: float) -> None:
    # The left ear's map has a higher peak on the tail.
    maps = maps_of((1, (150, 158), 0.95))
    highest, _ = PLAIN.decode(maps)
    points, _ = related(turn_deg).decode(maps)
    assert_allclose(highest[0, 0, 1], [150, 158], atol=0.5)
    assert_allclose(points[0, 0], SHAPE + MIDDLE, atol=0.5)


def test_exchanged_ears_are_chosen_together() -> None:
    left, right = (tuple(SHAPE[n] + MIDDLE) for n in (1, 2))
    points, _ = related().decode(maps_of((1, right, 0.9), (2, left, 0.9)))
    assert_allclose(points[0, 0], SHAPE + MIDDLE, atol=0.5)


def test_without_another_peak_points_are_exactly_the_highest_peaks() -> None:
    # Upside down: a posture that no label has.
    maps = 0.8 * PLAIN.gaussians(MIDDLE - SHAPE, HEIGHT, WIDTH)[None]
    highest, _ = PLAIN.decode(maps)
    points, confidence = related().decode(maps)
    np.testing.assert_array_equal(points, highest)
    assert (confidence > 0).all()


def test_clear_peaks_outweigh_a_posture_that_no_label_has() -> None:
    turned = MIDDLE - SHAPE
    maps = 0.8 * PLAIN.gaussians(turned, HEIGHT, WIDTH)[None]
    noise = np.random.default_rng(0).uniform(0, 0.05, maps.shape).astype(np.float32)
    points, _ = related().decode(np.maximum(maps, noise))
    assert_allclose(points[0, 0], turned, atol=1)


def test_a_peak_below_a_tenth_of_the_highest_is_not_chosen() -> None:
    usual = tuple(SHAPE[1] + MIDDLE)
    elsewhere = 150.0, 158.0
    for height, chosen in ((0.05, elsewhere), (0.2, usual)):
        maps = maps_of((1, (0, 0), 0), (1, elsewhere, 0.8), (1, usual, height))
        points, _ = related().decode(maps)
        assert_allclose(points[0, 0, 1], chosen, atol=0.5)


def test_two_body_parts_at_one_place_stay_there() -> None:
    right = tuple(SHAPE[2] + MIDDLE)
    maps = maps_of((1, (0, 0), 0), (1, right, 0.8))
    points, _ = related().decode(maps)
    assert_allclose(points[0, 0, 1], right, atol=0.5)


def test_usual_places_keep_their_confidence() -> None:
    _, plain = PLAIN.decode(maps_of())
    _, confidence = related().decode(maps_of())
    assert_allclose(confidence, plain, rtol=1e-5)


def test_an_unusual_place_lowers_the_confidence() -> None:
    maps = maps_of((1, (0, 0), 0), (1, (60, 200), 0.8))
    _, plain = PLAIN.decode(maps)
    _, confidence = related().decode(maps)
    assert confidence[0, 0, 1] < 0.2 * plain[0, 0, 1]
    assert (confidence <= plain).all()


def test_a_second_peak_nearly_as_likely_lowers_the_confidence() -> None:
    near = tuple(SHAPE[1] + MIDDLE + [0, 14])
    _, plain = PLAIN.decode(maps_of((1, near, 0.75)))
    _, confidence = related().decode(maps_of((1, near, 0.75)))
    assert confidence[0, 0, 1] < 0.6 * plain[0, 0, 1]


def test_each_image_of_a_batch_is_decoded_as_alone() -> None:
    maps = np.concatenate([maps_of((1, (150, 158), 0.95)), maps_of()])
    decoder = related()
    points, confidence = decoder.decode(maps)
    for n in range(2):
        alone, sure = decoder.decode(maps[n : n + 1])
        np.testing.assert_array_equal(points[n], alone[0])
        np.testing.assert_array_equal(confidence[n], sure[0])


def test_empty_maps_give_finite_points_without_confidence() -> None:
    points, confidence = related().decode(np.zeros((1, 4, HEIGHT, WIDTH), np.float32))
    assert np.isfinite(points).all()
    assert not confidence.any()


def test_relations_are_restored_from_json() -> None:
    for decoder in (related(5), related(180)):
        text = json.dumps(decoder.to_json(PARTS))
        assert Heatmaps.from_json(json.loads(text), PARTS) == decoder


def test_a_description_without_relations_is_decoded_as_before() -> None:
    found = Heatmaps.from_json({"heatmaps": {"stride": 4, "sigma": 1.25}}, PARTS)
    assert found == PLAIN
    assert PLAIN.to_json(PARTS) == {"heatmaps": {"stride": 4, "sigma": 1.25}}


def faulty(**changes: object) -> dict[str, object]:
    relations: dict[str, object] = {
        "offsets": [[0, 1, 1.0, 5.0, 5.0, 0.1, 0.0, 0.1]],
        "distances": [],
        "usual": [0.0, 0.0, 0.0, 0.0],
    }
    return {"stride": 4, "sigma": 1.25, "relations": relations | changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [[0, 4, 1.0, 5.0, 5.0, 0.1, 0.0, 0.1]]}, "body part 4"),
        ({"offsets": [[0, 1, 1.0]]}, "offsets"),
        ({"distances": [[0, 1, 1.0, 3.0, 0.0]]}, "distances → 0 → 4"),
        ({"usual": [0.0]}, "usual"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_relation_is_named(changes: dict[str, object], message: str) -> None:
    sections = json.loads(json.dumps({"heatmaps": faulty()}))
    Heatmaps.from_json(sections, PARTS)
    damaged = json.loads(json.dumps({"heatmaps": faulty(**changes)}))
    with pytest.raises(ValueError, match=message):
        Heatmaps.from_json(damaged, PARTS)


def test_no_relation_changes_nothing() -> None:
    none = Heatmaps(4, 1.25, relations=PartRelations((), ()))
    maps = maps_of((1, (150, 158), 0.95))
    np.testing.assert_array_equal(none.decode(maps)[0], PLAIN.decode(maps)[0])
