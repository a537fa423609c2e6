"""Cross-validation of a learned appearance by blocks of time, on embeddings drawn at random."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.pose.tracking.appearance_folder import (
    LEAST_PRECISION,
    AppearanceScores,
)
from deeplabstream.pose.tracking.embedding_evidence import BURST
from deeplabstream.training.appearance.certain_tracks import CropSet
from deeplabstream.training.appearance.cross_validation import (
    FOLDS,
    GAP,
    HeldOut,
    blocks,
    evidence_scale,
    held_out,
    score,
    training_mask,
)

NAMES = ("anna", "bob", "carl", "dora")
FRAMES = 800
Array = NDArray[np.float64]


def source(animals: int = 4) -> CropSet:
    """Return crops of all animals, four times a second, whose pixels do not matter."""
    return CropSet(
        np.zeros((FRAMES * animals, 1, 1, 3), np.uint8),
        np.tile(np.arange(animals), FRAMES),
        np.repeat(np.arange(FRAMES) / 4, animals),
        np.repeat(np.arange(FRAMES) // BURST, animals),
        ~np.eye(animals, dtype=bool),
        NAMES[:animals],
    )


def embedded(
    apart: float, lasting: float, seed: int = 0, animals: int = 4, lasts_s: float = 2.0
) -> Array:
    """Return embeddings (crop, 8): animals `apart`, `lasting` noise, and that of each frame."""
    random = np.random.default_rng(seed)
    means = random.normal(0, apart, (animals, 8))
    drift = random.normal(0, lasting, (animals, 8))
    keeps = np.exp(-0.25 / lasts_s)
    rows = []
    for _ in range(FRAMES):
        drift *= keeps
        drift += random.normal(0, lasting * np.sqrt(1 - keeps**2), drift.shape)
        rows.append(means + drift + random.normal(0, 0.3, drift.shape))
    return np.concatenate(rows)


def scores_of(
    apart: float, lasting: float, seed: int = 0, lasts_s: float = 2.0
) -> AppearanceScores:
    points = embedded(apart, lasting, seed, lasts_s=lasts_s)
    folds = [[held_out(source(), points, fold)] for fold in range(FOLDS)]
    return score(folds, [source()])


@pytest.mark.parametrize("lasts_s", [0.5, 2.0, 4.0])
def test_animals_alike_are_recognised_as_often_as_by_chance_and_not_less(
    lasts_s: float,
) -> None:
    """Their looks last for some seconds: an animal's own block left out alone gave 0.118."""
    found = [scores_of(0.0, 1.0, seed, lasts_s).rank1 for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.02)


def test_animals_alike_are_hardly_linked_and_must_not_be_recognised() -> None:
    scores = scores_of(0.0, 1.0)
    assert scores.links < 0.02 * scores.pieces
    assert len(scores.alike) == 6
    rank1, precision = scores.shortfalls()
    assert "0.250 by chance" in rank1
    assert "linking precision" in precision


def test_distinct_animals_are_recognised_and_linked() -> None:
    scores = scores_of(2.0, 0.2)
    assert scores.rank1 > 0.99
    assert scores.precision == 1
    assert scores.links > 0.9 * scores.pieces
    assert scores.shortfalls() == []
    assert scores.alike == ()


def test_only_the_pair_that_looks_alike_is_said_to_look_alike() -> None:
    points = embedded(2.0, 0.2).reshape(FRAMES, 4, 8)
    shift = points[:, 0].mean(axis=0) - points[:, 1].mean(axis=0)
    points[:, 1] += shift
    flat = points.reshape(-1, 8)
    folds = [[held_out(source(), flat, fold)] for fold in range(FOLDS)]
    (pair,) = score(folds, [source()]).alike
    assert (pair.one, pair.other) == ("anna", "bob")


def test_a_fold_leaves_out_the_same_time_of_all_animals() -> None:
    made = source()
    for fold in range(FOLDS):
        mask = training_mask(made, fold)
        by_animal = [made.times_s[mask & (made.tracks == n)].tolist() for n in range(4)]
        assert all(times == by_animal[0] for times in by_animal)
        out = made.times_s[blocks(made) == fold]
        near = made.times_s[mask]
        gap_s = GAP * made.duration_s / FOLDS
        assert not ((near >= out[0] - gap_s) & (near <= out[-1] + gap_s)).any()
    assert np.unique(blocks(made)).tolist() == list(range(FOLDS))


def test_animals_that_may_be_the_same_are_not_compared() -> None:
    """Two tracks of different times: each is compared with the one that was there always."""
    count, half = FRAMES, FRAMES // 2
    tracks = np.stack([np.zeros(count, int), np.repeat([1, 2], half)], axis=1).ravel()
    different = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], bool)
    made = CropSet(
        np.zeros((2 * count, 1, 1, 3), np.uint8),
        tracks,
        np.repeat(np.arange(count) / 4, 2),
        np.repeat(np.arange(count) // BURST, 2),
        different,
        ("anna", "bob", "bob"),
    )
    found = held_out(made, embedded(2.0, 0.2, animals=2), 0)
    assert np.isnan(found.distances[found.tracks == 1, 2]).all()
    assert np.isfinite(found.distances[found.tracks == 1][:, :2]).all()


def test_evidence_is_not_larger_than_the_number_of_pieces_supports() -> None:
    """n right pieces support odds of about n to 1, however far apart the animals are."""
    for pieces in (20, 200, 2000):
        distances = np.tile([0.1, 2.1], (pieces, 1))
        fold = HeldOut(
            distances, np.zeros(pieces, int), distances, np.zeros(pieces, int)
        )
        evidence = evidence_scale([fold]) * 2.0
        assert np.exp(evidence / 2) == pytest.approx(pieces + 1, rel=0.01)


def test_distances_that_say_nothing_are_no_evidence() -> None:
    random = np.random.default_rng(0)
    distances = random.uniform(1, 2, (500, 3))
    fold = HeldOut(distances, np.zeros(500, int), distances, np.zeros(500, int))
    assert evidence_scale([fold]) < 0.01
    assert evidence_scale([]) == 0


def test_few_links_do_not_prove_a_precision() -> None:
    few = AppearanceScores(1000, 0.99, 0.25, 100, 72, 72)
    enough = AppearanceScores(1000, 0.99, 0.25, 100, 73, 73)
    assert few.precision_interval[0] < LEAST_PRECISION <= enough.precision_interval[0]
    assert few.shortfalls() != []
    assert enough.shortfalls() == []


def test_without_a_left_out_view_that_is_said() -> None:
    (reason,) = AppearanceScores(0, 0.0, 0.0, 0, 0, 0).shortfalls()
    assert "no animal was recognised in a block of time that was left out" in reason
