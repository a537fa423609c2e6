"""Sections `imgaug` of Lightning Pose files: transforms, their points, what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.augmentation import augment
from deeplabstream.training.data.imgaug_sections import TRANSFORMS, read_sections
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.lightning_pose.project import read_pose_project
from tests.training.configurations import PROJECT_CONFIG

POINTS = np.array([[40.0, 30.0], [70.0, 52.0], [np.nan, np.nan]], np.float32)
GEOMETRY = {
    "Affine": {
        "rotate": [-30, 30],
        "scale": [0.9, 1.1],
        "translate_percent": {"x": [-0.1, 0.1], "y": 0.05},
        "shear": [-8, 8],
    },
    "Rot90": {"k": [[0, 1, 2, 3]]},
    "Fliplr": {"p": 0.5},
    "Flipud": {},
    "CropAndPad": {"percent": [-0.1, 0.1], "keep_size": False},
    "ElasticTransformation": {"alpha": [40, 60], "sigma": 8},
}


def dots() -> np.ndarray:
    """Return an image with a bright dot at each point."""
    image = np.zeros((80, 112, 3), np.uint8)
    for x, y in POINTS[:2]:
        centre = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(image, centre, 3 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("name", GEOMETRY)
def test_points_stay_on_what_they_label(name: str) -> None:
    sections = read_sections({name: {"p": 1.0, "kwargs": GEOMETRY[name]}})
    rng, moved = np.random.default_rng(0), 0.0
    for _ in range(12):
        image, points = sections[0].apply(dots(), POINTS, rng)
        assert image.shape == (80, 112, 3)
        assert np.isnan(points[2]).all()
        for place, (x, y) in enumerate(points[:2]):
            other = points[1 - place]
            ys, xs = np.mgrid[:80, :112]
            near = np.hypot(xs - x, ys - y) < np.hypot(xs - other[0], ys - other[1])
            weight = np.where(near, image[..., 0].astype(float), 0)
            found = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
            assert np.hypot(*(found - (x, y))) < 0.8, name
        moved = max(moved, float(np.nanmax(np.abs(points - POINTS))))
    assert moved > 1


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - set(GEOMETRY)))
def test_light_changes_leave_points_alone(name: str) -> None:
    (section,) = read_sections({name: {"p": 1}})
    noise = np.random.default_rng(1).integers(60, 180, (80, 112, 3), np.uint8)
    changed = 0
    for seed in range(6):
        image, points = section.apply(noise, POINTS, np.random.default_rng(seed))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(points, POINTS)
        changed += not np.array_equal(image, noise)
    assert changed >= 5


def test_an_axis_that_is_left_out_does_not_change() -> None:
    for kwargs, at in (
        ({"scale": {"x": [0.8, 1.2]}}, 0),
        ({"translate_percent": {"y": 0.1}}, 1),
        ({"translate_px": {"x": [1, 5]}}, 0),
    ):
        (section,) = read_sections({"Affine": {"p": 1, "kwargs": kwargs}})
        _, points = section.apply(dots(), POINTS, np.random.default_rng(0))
        assert (np.abs(points - POINTS)[:2, at] > 0.1).all()
        np.testing.assert_allclose(points[:2, 1 - at], POINTS[:2, 1 - at], atol=1e-4)


def test_whole_numbers_are_drawn_only_where_nothing_else_makes_sense() -> None:
    rng = np.random.default_rng(0)
    middle = np.array([[55.5, 39.5], [65.5, 39.5]], np.float32)

    def shifts(**kwargs: list[int]) -> np.ndarray:
        (section,) = read_sections({"Affine": {"p": 1, "kwargs": kwargs}})
        moved = [section.apply(dots(), middle, rng)[1] for _ in range(40)]
        return np.array([(points - middle)[:, 0] for points in moved])

    zoomed = shifts(scale=[1, 2])[:, 1]
    assert ((zoomed > 0.01) & (zoomed < 9.99)).sum() > 30
    px = shifts(translate_px=[3, -3])
    np.testing.assert_allclose(px, px.round(), atol=1e-4)
    assert set(px[:, 0].round()) == set(range(-3, 4))


def test_a_transform_is_applied_as_often_as_it_says() -> None:
    (section,) = read_sections({"Flipud": {"p": 0.25}})
    rng = np.random.default_rng(0)
    turned = [section.apply(dots(), POINTS, rng)[1][0, 1] != 30 for _ in range(400)]
    assert 0.2 < np.mean(turned) < 0.3


def test_a_file_with_a_section_is_trained_with_it(
    labelled: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    words = "imgaug: {Flipud: {p: 1.0}, Multiply: {p: 1.0, kwargs: {mul: 0.5}}}"
    file.write_text(PROJECT_CONFIG.replace("imgaug: dlc", words), "utf-8")
    how = (
        read_pose_project(file, [f"data.data_dir={labelled}"]).settings(8).augmentation
    )
    rng = np.random.default_rng(0)
    skeleton, known = Skeleton(("a", "b", "c")), np.ones(3, np.bool_)
    image, points, _ = augment(how, skeleton, dots(), POINTS, known, None, rng)
    np.testing.assert_allclose(points[:2, 1], 79 - POINTS[:2, 1])
    np.testing.assert_array_equal(image, dots()[::-1] // 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "imgaug: {Fog: {p: 0.5}}",
            "there is no transform 'Fog' here; known are Add",
        ),
        ("imgaug: {Affine: {kwargs: {order: 3}}}", "Affine: order has no effect here"),
        ("imgaug: {Affine: {kwargs: {rotate: far}}}", "rotate = far: expected numbers"),
        ("imgaug: {Affine: {kwargs: {rotate: {x: 1}}}}", "rotate = {'x': 1}: expected"),
        (
            "imgaug: {AdditiveGaussianNoise: {kwargs: {scale: {x: 1}}}}",
            "scale = {'x': 1}: expected numbers",
        ),
        ("imgaug: {Affine: {p: 2}}", "p = 2: expected a number from 0 to 1"),
        ("imgaug: {Affine: {args: [1]}}", "Affine: expected p and kwargs"),
        ("imgaug: {Affine: 3}", "Affine: expected p and kwargs"),
        ("imgaug: dlc-side", "there is no 'dlc-side'; known are none, dlc"),
    ],
)
def test_what_is_not_known_is_refused_before_training(
    words: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(PROJECT_CONFIG.replace("imgaug: dlc", words), "utf-8")
    with pytest.raises(LabelsError, match=r"training\.imgaug: ") as refusal:
        read_pose_project(file)
    assert sentence in str(refusal.value)
