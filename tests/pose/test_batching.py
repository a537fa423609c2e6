from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

import deeplabstream.pose.runtimes.batching as batching
from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.per_camera import PerCamera, thresholds_of
from deeplabstream.pose.runtimes.batching import (
    batches,
    frame_seconds,
    worth_batching,
)
from deeplabstream.pose.tracking.named_estimator import NamedEstimator

PARTS = Skeleton(("snout", "tailbase"))


@dataclass
class Counting:
    """An estimator that moves a clock by so much per call and per picture."""

    call_s: float = 0.0
    picture_s: float = 0.0
    skeleton: Skeleton = PARTS
    threshold: float = 0.5
    provider: str = "counting"
    sha256: str = "0123456789"
    now_s: float = 0.0
    batches: list[list[str]] = field(default_factory=list)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.now_s += self.call_s + self.picture_s * len(images)
        self.batches.append(list(cameras))
        return [
            Pose(
                self.skeleton,
                np.full((1, 2, 2), image.flat[0], np.float32),
                np.ones((1, 2), np.float32),
            )
            for image in images
        ]


@pytest.mark.parametrize(
    ("call_s", "picture_s", "worth"),
    [(0.002, 0.0001, True), (0.0, 0.01, False), (0.002, 0.003, False)],
)
def test_a_batch_must_be_faster_than_waiting_for_its_turn(
    monkeypatch: pytest.MonkeyPatch, call_s: float, picture_s: float, worth: bool
) -> None:
    estimator = Counting(call_s, picture_s)
    monkeypatch.setattr(batching.time, "perf_counter", lambda: estimator.now_s)
    assert worth_batching(estimator) is worth


def test_the_time_for_a_frame_is_that_of_the_camera_s_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, own = Counting(0.01, 0.002), Counting(0.03, 0.0, sha256="f" * 10)
    clock = lambda: usual.now_s + own.now_s  # noqa: E731
    monkeypatch.setattr(batching.time, "perf_counter", clock)
    rig = PerCamera(usual, {"side": own})
    taken = frame_seconds(rig, ("top", "side", "front"), together=False)
    assert taken == pytest.approx({"top": 0.012, "side": 0.03, "front": 0.012})
    taken = frame_seconds(usual, ("top", "side"), together=True)
    assert taken == pytest.approx({"top": 0.007, "side": 0.007})


@pytest.mark.parametrize(("cameras", "sizes"), [(1, []), (3, [2, 3])])
def test_what_is_batched_was_warmed_up_in_every_size(
    monkeypatch: pytest.MonkeyPatch, cameras: int, sizes: list[int]
) -> None:
    warmed: list[int] = []

    class Cold(Counting):
        def warm_up(self, batch: int = 1) -> None:
            warmed.append(batch)

    estimator = PerCamera(Cold(0.002, 0.0001), {})
    usual = estimator.estimator
    monkeypatch.setattr(batching.time, "perf_counter", lambda: usual.now_s)  # type: ignore[attr-defined]
    assert batches(estimator, cameras) is bool(sizes)
    assert warmed == sizes


def test_each_camera_has_its_network_and_shares_a_batch() -> None:
    usual, other = Counting(), Counting(sha256="abcdefgh0")
    both = PerCamera(usual, {"side": other, "below": other})
    images = [np.full((2, 2), n, np.uint8) for n in range(4)]
    poses = both.estimate(images, ["side", "top", "below", "front"])
    assert [pose.points[0, 0, 0] for pose in poses] == [0, 1, 2, 3]
    assert usual.batches == [["top", "front"]]
    assert other.batches == [["side", "below"]]
    assert both.provider == (
        "counting; side: abcdefgh by counting; below: abcdefgh by counting"
    )
    assert len(both.estimate(images)) == 4


def test_networks_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ModelError, match=r"\[Camera side\] MODEL: .* same body parts"):
        PerCamera(Counting(), {"side": Counting(skeleton=Skeleton(("a", "b")))})


def test_each_network_keeps_its_threshold() -> None:
    usual, other = Counting(), Counting(threshold=0.3)
    thresholds = thresholds_of(
        NamedEstimator(PerCamera(usual, {"side": other}), ("anna",))
    )
    assert (thresholds.of("side"), thresholds.of("top")) == (0.3, 0.5)
    assert thresholds_of(usual).of("side") == 0.5
