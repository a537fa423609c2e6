"""Where an imported network sees body parts, as live."""

from pathlib import Path

import numpy as np

from pose.model_folder import load_model_folder
from pose.network_estimator import NetworkEstimator
from pose.runtimes import Runtime, load_network


def estimated(
    folder: Path, pictures: np.ndarray, runtime: Runtime = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, animal, part, 2) and confidences (n, animal, part)."""
    model = load_model_folder(folder)
    estimator = NetworkEstimator(model, load_network(model, runtime, 1))
    found = [estimator.estimate([picture])[0] for picture in pictures]
    points = np.stack([pose.points for pose in found])
    return points, np.stack([pose.confidence for pose in found])


def poses(folder: Path, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, part, 2) and confidences (n, part), of one animal."""
    points, sure = estimated(folder, pictures)
    return points[:, 0], sure[:, 0]
