"""Folds and intervals of `benchmarks/accuracy.py`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import (
    MARGIN,
    LabelledSet,
    Predictions,
    changed,
    ratio_interval,
)
from benchmarks.support.drawn import dataset
from deeplabstream.training.fit_settings import FitSettings

IMAGES = tuple(Path(f"img{number}.png") for number in range(24))


def case(clips: int) -> LabelledSet:
    names = tuple(f"clip{number % clips}" for number in range(24))
    data = replace(dataset(24), clips=names)
    return LabelledSet("drawn", data, FitSettings(), IMAGES)


def test_blocks_of_one_clip_are_kept_back_with_their_neighbours() -> None:
    folds = list(case(1).folds(3))
    assert sorted(at for _, kept in folds for at in kept) == list(range(24))
    for train, kept in folds:
        near = {at + away for at in kept for away in range(-MARGIN, MARGIN + 1)}
        assert not near & set(train)
        assert len(set(train) | (near & set(range(24)))) == 24


def test_whole_clips_are_kept_back_where_there_are_five() -> None:
    of_clips = case(6)
    folds = list(of_clips.folds(3))
    assert sorted(at for _, kept in folds for at in kept) == list(range(24))
    for train, kept in folds:
        clips = [{of_clips.data.clips[at] for at in some} for some in (train, kept)]
        assert not clips[0] & clips[1]
        assert len(train) + len(kept) == 24


def test_a_change_is_made_in_its_part_of_the_settings_alone() -> None:
    settings = FitSettings()
    other = changed(settings, "network.sigma=2.5")
    assert other.network.sigma == 2.5
    assert replace(other, network=settings.network) == settings
    assert changed(settings, "augmentation.scale=[0.5, 2]").augmentation.scale == (
        0.5,
        2,
    )
    assert changed(settings, "loss=js").loss == "js"
    with pytest.raises(ValueError, match="no setting sigmas"):
        changed(settings, "network.sigmas=2")


def test_the_interval_contains_the_ratio_of_paired_errors() -> None:
    rng = np.random.default_rng(1)
    error = rng.exponential(4.0, (200, 3, 1)).astype(np.float32)
    labels = np.zeros((200, 3, 2), np.float32)
    base = Predictions(
        labels + error, labels, np.ones((200, 3), np.float32), np.arange(200)
    )
    half = replace(base, points=labels + error / 2)
    assert ratio_interval(base, half) == pytest.approx((0.5, 0.5))
    noisy = replace(base, points=base.points * rng.uniform(0.5, 1.2, (200, 3, 1)))
    low, high = ratio_interval(base, noisy)
    assert low < np.nanmean(noisy.error) / np.nanmean(base.error) < high
    assert high - low < 0.1


def test_a_change_may_join_several() -> None:
    both = changed(FitSettings(), "batch=4+network.sigma=1.5")
    assert both.batch == 4 and both.network.sigma == 1.5
