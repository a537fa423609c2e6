"""Rotations: vectors (axis times angle), matrices, and the angle between two."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def rotation_matrix(vector: ArrayLike) -> Floats:
    """Return the matrix of a rotation vector, by Rodrigues' formula.

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd edition, A4.3.2.

    Parameters
    ----------
    vector : array of float, shape (3,)
        Axis of the rotation, times its angle in rad.

    Returns
    -------
    numpy.ndarray of float64, shape (3, 3)
        The rotation.
    """
    x, y, z = np.asarray(vector, np.float64)
    angle = float(np.sqrt(x * x + y * y + z * z))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # sin(a) / a and (1 - cos(a)) / a², also for angles near 0
    along = np.sinc(angle / np.pi)
    across = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + along * cross + across * cross @ cross)


def rotation_vector(matrix: Floats) -> Floats:
    """Return the rotation vector of a matrix, through its quaternion.

    The quaternion is computed from its largest component, so angles near 0 and near π are as
    exact as others (Shepperd, Journal of Guidance and Control 1 (1978) 223).

    Parameters
    ----------
    matrix : numpy.ndarray of float64, shape (3, 3)
        A rotation.

    Returns
    -------
    numpy.ndarray of float64, shape (3,)
        Axis of the rotation, times its angle from 0 to π rad.

    >>> rotation_vector(rotation_matrix([0.0, 0.0, 1e-7])).round(12).tolist()
    [0.0, 0.0, 1e-07]
    """
    m, trace = matrix, float(np.trace(matrix))
    # Four times the products of the components w, x, y, z of the quaternion.
    products = np.array(
        [
            [1 + trace, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, 1 + 2 * m[0, 0] - trace, m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, 1 + 2 * m[1, 1] - trace, m[1, 2] + m[2, 1]],
            [0, 0, 0, 1 + 2 * m[2, 2] - trace],
        ]
    )
    products = products + np.triu(products, 1).T
    quaternion = products[np.argmax(np.diag(products))]
    quaternion = quaternion / np.linalg.norm(quaternion)
    quaternion = quaternion * (1.0 if quaternion[0] >= 0 else -1.0)

    sine = float(np.linalg.norm(quaternion[1:]))
    angle = 2 * np.arctan2(sine, quaternion[0])
    return np.asarray(quaternion[1:] * (angle / sine if sine > 0 else 2.0))


def angle_between(one: Floats, other: Floats) -> float:
    """Return the angle in degrees from 0 to 180 between two rotations (3, 3)."""
    return float(np.degrees(np.linalg.norm(rotation_vector(one @ other.T))))
