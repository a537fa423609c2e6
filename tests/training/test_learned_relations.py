"""Relative positions of body parts are learned from labelled poses."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.image_fitting import Fitting, whole
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.learned_relations import (
    learned_relations,
    with_relations,
)
from tests.pose.test_part_relations import PARTS, SHAPE, labelled

STILL = Augmentation(rotation_deg=15, mirror=False)


def dataset(count: int = 20) -> Dataset:
    points = labelled(5, count)
    images = np.zeros((count, 240, 320, 3), np.uint8)
    known = np.ones(points.shape[:2], bool)
    fitting = Fitting(240, 320)
    windows = (whole((240, 320), fitting),) * count
    clips = ("a",) * count
    return Dataset(Skeleton(PARTS), fitting, images, points, known, windows, clips)


def test_an_animal_in_one_direction_has_offsets() -> None:
    found = learned_relations(labelled(5))
    assert found is not None
    assert not found.distances
    pair = next(one for one in found.offsets if (one.first, one.second) == (0, 3))
    assert_allclose([pair.x, pair.y], SHAPE[3] - SHAPE[0], atol=4)


def test_an_animal_that_turns_has_distances() -> None:
    found = learned_relations(labelled(180))
    assert found is not None
    assert not found.offsets
    pair = next(one for one in found.distances if (one.first, one.second) == (0, 3))
    assert_allclose(np.exp(pair.log_px), 66, atol=2)


def test_where_every_direction_is_trained_only_distances_are_learned() -> None:
    found = with_relations(
        Heatmaps(4, 1.25), dataset(), replace(STILL, rotation_deg=180)
    )
    assert isinstance(found, Heatmaps) and found.relations
    assert found.relations.distances and not found.relations.offsets


def test_the_weights_of_a_body_part_add_up_to_about_two() -> None:
    for turn in (5, 180):
        found = learned_relations(labelled(turn))
        assert found is not None
        sums = np.zeros(4)
        for one in (*found.offsets, *found.distances):
            sums[[one.first, one.second]] += one.weight
        assert_allclose(sums.mean(), 2, atol=0.1)


def test_most_labels_are_at_usual_places() -> None:
    points = labelled(5)
    found = learned_relations(points)
    assert found is not None
    plausible = np.array(
        [found.choose(p[:, None], np.ones((4, 1))).plausible for p in points]
    )
    assert (plausible > 0.999).mean() > 0.85


def test_one_wrong_label_changes_little() -> None:
    points = labelled(5)
    wrong = points.copy()
    wrong[3, 0] += 150
    found, same = learned_relations(wrong), learned_relations(points)
    assert found is not None and same is not None
    assert_allclose(
        [[one.x, one.y] for one in found.offsets if one.first == 1],
        [[one.x, one.y] for one in same.offsets if one.first == 1],
        atol=1,
    )


def test_too_few_labels_give_no_relations() -> None:
    assert learned_relations(labelled(5, count=9)) is None
    alone = labelled(5)
    alone[:, 1:] = np.nan
    assert learned_relations(alone) is None


def test_a_body_part_without_labels_is_in_no_relation() -> None:
    points = labelled(5)
    points[:, 2] = np.nan
    found = learned_relations(points)
    assert found is not None
    assert all(2 not in (one.first, one.second) for one in found.offsets)
    assert len(found.usual) == 4


def test_equal_poses_are_not_known_better_than_a_label() -> None:
    found = learned_relations(np.repeat(labelled(0, 1), 12, axis=0))
    assert found is not None
    assert all(one.xx <= 0.25 and one.yy <= 0.25 for one in found.offsets)


def test_mirrored_poses_are_plausible_where_mirrored_images_are_trained() -> None:
    data = dataset()
    mirrored = (data.points[:, [0, 2, 1, 3]] * [-1, 1] + [320, 0])[:, :, None]
    sure = []
    for mirror in (False, True):
        decoder = with_relations(Heatmaps(4, 1.25), data, replace(STILL, mirror=mirror))
        assert isinstance(decoder, Heatmaps) and decoder.relations
        every = [
            decoder.relations.choose(p, np.ones((4, 1))).plausible for p in mirrored
        ]
        sure.append(np.mean(every))
    assert sure[1] > 0.95
    assert sure[1] >= sure[0]


def test_an_animal_is_as_plausible_in_every_size_that_is_trained() -> None:
    data = dataset()
    larger = (data.points * 1.25)[:, :, None]
    sure = []
    for scale in (1.0, 1.0), (0.75, 1.3):
        decoder = with_relations(Heatmaps(4, 1.25), data, replace(STILL, scale=scale))
        assert isinstance(decoder, Heatmaps) and decoder.relations
        every = [decoder.relations.choose(p, np.ones((4, 1))).plausible for p in larger]
        sure.append(np.mean(every))
    assert sure[0] < 0.8
    assert sure[1] > 0.9


def test_decoders_of_several_animals_or_views_stay_as_they_are() -> None:
    data = dataset()
    several = MultiAnimalDecoder(
        Heatmaps(4, 1.25), PafGrouper(4, ((0, 1), (1, 2), (2, 3)), 2, 4, 1.5)
    )
    assert with_relations(several, data, STILL) is several
    plain = Heatmaps(4, 1.25)
    assert with_relations(plain, replace(data, views=2), STILL) is plain
