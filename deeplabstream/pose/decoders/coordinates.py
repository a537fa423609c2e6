"""Decoder of networks that give the coordinates of body parts themselves."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deeplabstream.pose.decoders.decoder import DecodedPoses, SectionDecoder
from deeplabstream.pose.decoders.heatmaps import confidence_of


@dataclass(frozen=True, slots=True)
class Coordinates(SectionDecoder):
    """A network that gives x, y and a confidence of each body part, in input pixels.

    The output is (animal · bodypart, 3), all body parts of the first animal first.
    """

    animals: Annotated[int, Field(ge=1, le=100)] = 1
    """Largest number of animals; those not found have confidence 0."""
    linear_to: Annotated[float | None, Field(gt=0, lt=1)] = None
    """For scores without an upper bound: see `confidence_of`."""

    section: ClassVar[str] = "coordinates"
    any_size: ClassVar[bool] = False
    tolerance_px: ClassVar[float] = 0.0

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return (animal · bodypart, 3)."""
        return ((self.animals * bodyparts, 3),)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the points that the network gives; see `Decoder`."""
        split = output.reshape(len(output), self.animals, -1, 3)
        points, sure = split[..., :2], confidence_of(split[..., 2], self.linear_to)
        if self.animals > 1:
            points = np.where(sure[..., None] > 0, points, np.float32(np.nan))
        return points, sure

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return coordinates, with score 1 where a point is visible; see `Decoder`."""
        size = np.array([width, height], np.float32)
        seen = ((points >= -0.5) & (points <= size - 0.5)).all(axis=-1, keepdims=True)
        found = np.concatenate([np.where(seen, points, 0), seen], axis=-1)
        output = np.zeros((len(points), self.animals, points.shape[2], 3), np.float32)
        output[:, : points.shape[1]] = found
        return output.reshape(len(points), -1, 3)
