"""The decoder protocol: conversion between a network's output arrays and poses.

One implementation serves live tracking (`decode`), training (`encode`), `model.json`
(`to_json`, `from_json`) and the importers. `registry.py` lists the implementations.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import pydantic
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float32]
DecodedPoses: TypeAlias = tuple[Points, Points]
"""Points (n, animal, bodypart, 2) in pixels, and their confidences (n, animal, bodypart)."""
Sections: TypeAlias = Mapping[str, pydantic.JsonValue]
"""Named objects at the top level of `model.json`."""
Parsed = TypeVar("Parsed")

STRICT = pydantic.ConfigDict(strict=True, extra="forbid")
"""For `__pydantic_config__` of decoders: exact types, no unknown keys."""


class Decoder(Protocol):
    """Decodes poses from a network's output, and encodes poses as training targets.

    Coordinates are pixels of the network's input: x to the right, y down, pixel centres at
    whole numbers. Output arrays are float32, one row per image.
    """

    section: ClassVar[str]
    """The key in `model.json` and in import descriptions that selects this decoder."""

    @property
    def animals(self) -> int:
        """Largest number of animals found in one image."""
        ...

    @property
    def any_size(self) -> bool:
        """Whether one network gives valid points for images of any size."""
        ...

    @property
    def tolerance_px(self) -> float:
        """Largest difference, along x or y, of `decode(encode(points))` to `points`."""
        ...

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return the accepted output shapes for one input image.

        Parameters
        ----------
        bodyparts
            Number of body parts of the skeleton.
        height, width
            Size of the network's input, in pixels.

        Returns
        -------
        tuple of shapes
            Without the axis of the images. `encode` gives the first.
        """
        ...

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the poses in a network's output.

        Parameters
        ----------
        output
            (n, *shape) with one of `output_shapes`.

        Returns
        -------
        points
            (n, animal, bodypart, 2), pixels. A decoder for one animal always gives finite
            points. A decoder for several gives NaN for points that it does not find.
        confidences
            (n, animal, bodypart), 0 to 1; 0 where the point is NaN.
        """
        ...

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return the output that a perfect network gives: the training target.

        Parameters
        ----------
        points
            (n, animal, bodypart, 2), pixels. NaN, or a point outside the image: not
            visible.
        height, width
            Size of the network's input, in pixels.

        Returns
        -------
        output
            (n, *shape) with the first of `output_shapes`; finite.
        """
        ...

    def variants(self) -> "Sequence[Self]":
        """Return decoders to choose from on held-out images; usually only this one."""
        ...

    def to_json(self, bodyparts: Sequence[str]) -> dict[str, pydantic.JsonValue]:
        """Return the sections of `model.json` from which `from_json` restores this one.

        Parameters
        ----------
        bodyparts
            Names of the skeleton's body parts, in their order.
        """
        ...

    @classmethod
    def from_json(cls, sections: Sections, bodyparts: Sequence[str]) -> Self:
        """Return the decoder that the sections of `model.json` describe.

        Raises
        ------
        ValueError
            With section, key and reason, when a value is missing, unknown or out of range.
        """
        ...


class MapDecoder(Decoder, Protocol):
    """A decoder of maps, one group of channels per body part, with one peak per animal.

    It decodes one animal by itself. `MultiAnimalDecoder` uses it for several.
    """

    @property
    def stride(self) -> int:
        """Input pixels per cell."""
        ...

    @property
    def first_px(self) -> float:
        """Input pixel of the centre of cell 0, along x and y."""
        ...

    @property
    def sigma(self) -> float:
        """Standard deviation of a peak, in cells."""
        ...

    def channels(self, bodyparts: int) -> int:
        """Return the number of maps. Score maps, one per body part, come first."""
        ...

    def locate(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Return the points of peaks among other peaks.

        Parameters
        ----------
        maps
            (channel, h, w), all maps of one image.
        which, rows, columns
            (m,): body part and highest cell of each peak.

        Returns
        -------
        points
            (m, 2), input pixels.
        """
        ...

    def confidences(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the confidences, 0 to 1, of peak scores of any shape."""
        ...

    def encode_animals(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        """Return the maps of all animals in one image.

        Parameters
        ----------
        points
            (animal, bodypart, 2), input pixels; NaN: not visible.
        rows, columns
            Size of the maps, in cells.

        Returns
        -------
        maps
            (channel, rows, columns).
        """
        ...


class SectionDecoder:
    """Base of decoders that are dataclasses of one section: its keys are their fields."""

    section: ClassVar[str]
    __slots__ = ()
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = STRICT

    def variants(self) -> Sequence[Self]:
        """Return this decoder alone."""
        return (self,)

    def to_json(self, bodyparts: Sequence[str]) -> dict[str, pydantic.JsonValue]:
        """Return the section; fields that are None are left out."""
        own: Any = self
        given = {
            name: value for name, value in asdict(own).items() if value is not None
        }
        return {self.section: given}

    @classmethod
    def from_json(cls, sections: Sections, bodyparts: Sequence[str]) -> Self:
        """Return the decoder of its section; see `Decoder`."""
        return parse_section(cls, cls.section, sections[cls.section])


def parse_section(kind: type[Parsed], name: str, section: pydantic.JsonValue) -> Parsed:
    """Return the pydantic type or dataclass that a section of `model.json` describes.

    Raises
    ------
    ValueError
        With the section, the key and the reason, in one line.
    """
    try:
        return pydantic.TypeAdapter(kind).validate_json(json.dumps(section))
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in (name, *fault["loc"]))
        reason = fault["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {reason}") from error
