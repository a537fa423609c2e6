from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.image_fitting import REST, Fitting


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_there_and_back_is_the_same_point(height: int, width: int) -> None:
    fitting = Fitting(240, 320)
    points = np.array([[0, 0], [width - 1, height - 1]], np.float32)
    there = fitting.to_input(points, (height, width))
    columns, rows = fitting.extent((height, width))
    assert (there >= -0.5).all()
    assert (there <= [columns - 0.5, rows - 0.5]).all()
    assert columns == 320 or rows == 240
    assert_allclose(fitting.to_image(there, (height, width)), points, atol=2e-3 * width)


@pytest.mark.parametrize("shape", [(480, 640), (1024, 1280), (100, 60), (240, 320)])
def test_a_dot_lands_where_to_input_says(shape: tuple[int, int]) -> None:
    fitting = Fitting(240, 320)
    y, x = np.mgrid[: shape[0], : shape[1]]
    at = np.array([0.7 * shape[1], 0.4 * shape[0]], np.float32)
    spread = 0.03 * shape[1]
    dot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * spread**2))
    into = np.empty((240, 320, 3), np.uint8)
    fitting.place((250 * dot).astype(np.uint8), into)
    columns, rows = fitting.extent(shape)
    covered = into[:rows, :columns, 1].astype(float)
    y, x = np.mgrid[:rows, :columns]
    middle = [(covered * x).sum() / covered.sum(), (covered * y).sum() / covered.sum()]
    assert_allclose(middle, fitting.to_input(at, shape), atol=0.1)
    assert (into[rows:] == REST).all()
    assert (into[:rows, columns:] == REST).all()


def test_grey_and_colour_look_the_same() -> None:
    grey = np.random.default_rng(0).integers(0, 255, (480, 640), np.uint8)
    one, other = np.empty((2, 240, 320, 3), np.uint8)
    Fitting(240, 320).place(grey, one)
    Fitting(240, 320).place(np.stack([grey] * 3, axis=2), other)
    assert (one == other).all()


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(ModelError, match="8 bit, not of 16"):
        Fitting(32, 32).place(
            np.zeros((9, 9), np.uint16), np.empty((32, 32, 3), np.uint8)
        )


@pytest.mark.parametrize("shape", [(480, 640), (406, 396), (500, 300)])
def test_stretched_frames_fill_the_input_and_points_go_back(
    shape: tuple[int, int],
) -> None:
    fitting = Fitting(128, 128, "stretch", sampling="linear", align="corner")
    frame = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    into = np.empty((128, 128, 3), np.uint8)
    fitting.place(frame, into)
    np.testing.assert_array_equal(into, cv2.resize(frame, (128, 128)))
    points = np.array([[0, 0], [shape[1], shape[0]], [12.5, 80]], np.float32)
    there = fitting.to_input(points, shape)
    assert_allclose(there[:2], [[0, 0], [128, 128]], rtol=1e-5)
    assert_allclose(fitting.to_image(there, shape), points, rtol=1e-5)


def test_native_frames_are_not_scaled_and_inputs_grow_with_them() -> None:
    fitting = Fitting(480, 640, "native")
    assert fitting.of((480, 640)) == fitting
    own = fitting.of((747, 832))
    assert (own.height, own.width) == (768, 832)
    frame = np.random.default_rng(0).integers(0, 255, (747, 832, 3), np.uint8)
    into = np.empty((768, 832, 3), np.uint8)
    own.place(frame, into)
    assert (into[:747] == frame).all()
    assert (into[747:] == REST).all()
    points = np.array([[3, 700]], np.float32)
    assert (own.to_image(points, frame.shape) == points).all()
    small = fitting.of((100, 90))
    assert (small.height, small.width) == (128, 96)


def test_antialiased_frames_are_torchvisions() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    fitting = Fitting(
        64, 64, rest=0, sampling="antialias", align="corner", area=(48, 64)
    )
    into = np.empty((64, 64, 3), np.uint8)
    fitting.place(frame, into)
    given = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(
        given, size=(48, 64), mode="bilinear", antialias=True
    )
    assert_allclose(into[:48], wanted[0].permute(1, 2, 0).numpy(), atol=0.51)
    assert (into[48:] == 0).all()
    there = fitting.to_input(np.array([[60, 45]], np.float32), frame.shape)
    assert_allclose(there, [[32, 24]])


@given(
    seed=st.integers(0, 2**32 - 1),
    high=st.integers(20, 500),
    wide=st.integers(20, 700),
    grey=st.booleans(),
    fit=st.sampled_from(["letterbox", "stretch"]),
    sampling=st.sampled_from(["average", "linear", "antialias"]),
)
def test_a_placement_writes_what_opencv_gives_again_and_again(
    seed: int, high: int, wide: int, grey: bool, fit: Any, sampling: Any
) -> None:
    """Memory that is kept from frame to frame shows nothing of the frame before."""
    fitting = Fitting(96, 128, fit, sampling=sampling)
    shape = (high, wide) if grey else (high, wide, 3)
    rng = np.random.default_rng(seed)
    placement = fitting.placement(shape)
    into = rng.integers(0, 256, (96, 128, 3), np.uint8)
    columns, rows = fitting.extent(shape)
    for _ in range(2):
        image = rng.integers(0, 256, shape, np.uint8)
        placement.place(image, into)
        alone = np.empty_like(into)
        fitting.place(image, alone)
        assert np.array_equal(into, alone)
        if sampling == "antialias":
            continue
        least = min(high // rows, wide // columns) if sampling == "average" else 1
        sides = [n for n in range(1, least + 1) if not (high % n or wide % n)]
        side = max(sides, default=1)
        area = (wide // side, high // side)
        expected = cv2.resize(image, area, interpolation=cv2.INTER_AREA)
        expected = cv2.resize(expected, (columns, rows))
        if grey:
            expected = np.stack([expected] * 3, axis=2)
        assert np.array_equal(into[:rows, :columns], expected)
        assert (into[rows:] == REST).all()
        assert (into[:, columns:] == REST).all()


def test_only_a_frame_of_the_whole_input_is_taken_as_it_is() -> None:
    fitting = Fitting(60, 80)
    image = np.zeros((60, 80, 3), np.uint8)
    assert fitting.placement(image.shape).takes_as_it_is(image)
    for other in (
        image[..., 0],
        image[:, :-1],
        image[:, ::-1],
        image.astype(np.uint16),
        np.zeros((120, 160, 3), np.uint8),
    ):
        assert not fitting.placement(other.shape).takes_as_it_is(other)
    inside = Fitting(60, 80, area=(30, 40))
    assert not inside.placement(image.shape).takes_as_it_is(image)
