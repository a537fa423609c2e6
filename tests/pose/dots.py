"""A video of dots, and the estimator that finds them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator

SHAPE = (480, 640, 3)


class Dots:
    """A network that sees the dots that a picture has: one colour each, exactly."""

    provider = "dots"

    def __init__(self, parts: int, heatmaps: Heatmaps) -> None:
        self.parts = parts
        self.heatmaps = heatmaps
        self.pixels: list[int] = []

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.pixels.append(pictures.shape[1] * pictures.shape[2])
        n, height, width, _ = pictures.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        points = np.full((n, self.parts, 2), np.nan, np.float32)
        for i, picture in enumerate(pictures):
            for part in range(self.parts):
                light = picture[..., part].astype(np.float32)
                if light.sum() > 100:
                    at = (x * light).sum(), (y * light).sum()
                    points[i, part] = np.array(at) / light.sum()
        return self.heatmaps.gaussians(points, height // 4, width // 4)


def model(height: int = 240, width: int = 320) -> ModelFolder:
    skeleton = Skeleton(("one", "two", "three"))
    fitting = Fitting(height, width)
    return ModelFolder(Path(), skeleton, fitting, Heatmaps(4, 1.25), 0.5, "f" * 64, {})


def dots() -> tuple[NetworkEstimator, Dots]:
    network = Dots(3, Heatmaps(4, 1.25))
    return NetworkEstimator(model(), network), network
