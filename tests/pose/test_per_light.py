"""Networks for white and for infrared light: one is chosen for each camera, frame by frame."""

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.per_camera import PerCamera, thresholds_of
from deeplabstream.pose.per_light import PerLight, per_light_of
from deeplabstream.pose.tracking.named_estimator import NamedEstimator
from tests.pose.test_batching import Counting

IMAGE: Image = np.zeros((4, 4, 3), np.uint8)


def test_the_chosen_network_gets_the_frames_of_a_camera() -> None:
    white, infrared = Counting(), Counting()
    networks = PerLight(white, infrared)
    networks.choose("side", "infrared")
    assert len(networks.estimate([IMAGE] * 3, ["top", "side", "top"])) == 3
    networks.choose("side", "white")
    networks.estimate([IMAGE], ["side"])
    assert white.batches == [["top", "top"], ["side"]]
    assert infrared.batches == [["side"]]


def test_poses_keep_the_order_of_the_frames() -> None:
    networks = PerLight(Counting(), Counting())
    networks.choose("b", "infrared")
    images: list[Image] = [np.full((4, 4, 3), n, np.uint8) for n in range(4)]
    poses = networks.estimate(images, ["b", "a", "b", "a"])
    assert [pose.points[0, 0, 0] for pose in poses] == [0, 1, 2, 3]


def test_networks_with_other_body_parts_are_refused_with_section_and_key() -> None:
    other = Counting(skeleton=Skeleton(("tailbase", "snout")))
    with pytest.raises(ModelError) as refused:
        PerLight(Counting(), other)
    assert str(refused.value) == (
        "[Pose Estimation] INFRARED_MODEL: needs the body parts of MODEL in the same order: "
        "tailbase, snout, not snout, tailbase"
    )


def test_the_higher_threshold_is_that_of_the_record() -> None:
    networks = PerLight(Counting(threshold=0.3), Counting(threshold=0.7))
    assert thresholds_of(networks).of("top") == 0.7


def test_cameras_with_their_own_network_keep_it() -> None:
    own, networks = Counting(), PerLight(Counting(), Counting())
    whole = NamedEstimator(PerCamera(networks, {"side": own}), ("anna",))
    assert per_light_of(whole) is networks
    whole.estimate([IMAGE], ["side"])
    assert own.batches == [["side"]]
    assert per_light_of(own) is None
