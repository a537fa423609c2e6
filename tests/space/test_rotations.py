import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from deeplabstream.space.rotations import (
    angle_between,
    rotation_matrix,
    rotation_vector,
)

vectors = arrays(float, 3, elements=st.floats(-1.8, 1.8))


@given(vectors)
def test_a_matrix_is_that_of_opencv_and_gives_its_vector_back(
    vector: NDArray[np.float64],
) -> None:
    matrix = rotation_matrix(vector)
    np.testing.assert_allclose(matrix, cv2.Rodrigues(vector)[0], atol=1e-9)
    if np.linalg.norm(vector) < np.pi:
        np.testing.assert_allclose(rotation_vector(matrix), vector, atol=1e-9)
    again = rotation_matrix(rotation_vector(matrix))
    np.testing.assert_allclose(again, matrix, atol=1e-12)


@given(st.integers(0, 2), st.floats(0, 1e-9))
def test_a_half_turn_is_exact(axis: int, less: float) -> None:
    vector = np.zeros(3)
    vector[axis] = np.pi - less
    matrix = rotation_matrix(vector)
    again = rotation_matrix(rotation_vector(matrix))
    np.testing.assert_allclose(again, matrix, atol=1e-12)


def test_the_angle_between_rotations_is_in_degrees() -> None:
    one = rotation_matrix([0.3, -0.2, 0.9])
    turned = one @ rotation_matrix([0, np.radians(0.5), 0])
    assert abs(angle_between(one, turned) - 0.5) < 1e-9
