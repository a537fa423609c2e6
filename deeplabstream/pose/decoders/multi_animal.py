"""Decoder of several animals: maps of all animals, then part affinity fields."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, JsonValue

from deeplabstream.pose.decoders.decoder import (
    STRICT,
    DecodedPoses,
    MapDecoder,
    Sections,
    parse_section,
)
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.offsets import Offsets
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.decoders.part_affinity_fields import (
    SAMPLES,
    WORST,
    encode_fields,
)
from deeplabstream.pose.decoders.sleap_grouping import SleapGrouper

MAP_DECODERS: list[type[MapDecoder]] = [Heatmaps, Offsets]
"""Decoders whose maps may have several peaks."""
LINKS = (0.05, 0.1, 0.15, 0.2, 0.25)
"""Values of `PafGrouper.link` to choose from."""


class _Animals(BaseModel):
    """The section `animals`."""

    model_config = STRICT
    most: int = Field(ge=1, le=100)
    edges: list[tuple[str, str]]
    floor: float = Field(0.1, ge=0, le=1)
    link: float = Field(0.25, ge=0, le=1)
    worst: int = Field(WORST, ge=1, le=SAMPLES)
    longest: list[float] = []
    grouping: Literal["sleap"] | None = None
    """`sleap`: as SLEAP-NN does."""
    fields_stride: int = Field(0, ge=0, le=64)
    """For `sleap`: input pixels per cell of the fields before they were resized."""


@dataclass(frozen=True, slots=True)
class MultiAnimalDecoder:
    """Decoder of several animals: peaks of heat maps, joined by part affinity fields.

    The output is (channel, h, w): the channels of `maps`, then 2 · edge fields, x before
    y, edge by edge, with cells of the same size.
    """

    maps: MapDecoder
    grouping: PafGrouper

    section: ClassVar[str] = "animals"
    any_size: ClassVar[bool] = True

    @property
    def animals(self) -> int:
        """Largest number of animals."""
        return self.grouping.most

    @property
    def tolerance_px(self) -> float:
        """For animals whose like body parts are four cells apart or more."""
        return max(self.maps.tolerance_px, self.maps.stride / 16)

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of `maps`, with 2 more channels per edge."""
        more = 2 * len(self.grouping.edges)
        shapes = self.maps.output_shapes(bodyparts, height, width)
        return tuple((channels + more, *size) for channels, *size in shapes)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the animals of each image, by confidence; see `Decoder`."""
        found = [self._decode_image(maps) for maps in output]
        shape = (len(output), self.animals, self.grouping.bodyparts)
        if not found:
            return np.empty((*shape, 2), np.float32), np.empty(shape, np.float32)
        return np.stack([p for p, _ in found]), np.stack([c for _, c in found])

    def _decode_image(
        self, output: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        grouping = self.grouping
        channels = self.maps.channels(grouping.bodyparts)
        peaks = grouping.peaks(output[: grouping.bodyparts])
        points = self.maps.locate(
            output[:channels], peaks.maps, peaks.rows, peaks.columns
        )
        points, scores = grouping.group(peaks, points, output[channels:])
        return points, self.maps.confidences(scores)

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return maps and fields of all animals; see `Decoder`."""
        rows, columns = height // self.maps.stride, width // self.maps.stride
        return np.stack([self._encode_image(one, rows, columns) for one in points])

    def _encode_image(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        maps = self.maps.encode_animals(points, rows, columns)
        cells = (points - self.maps.first_px) / self.maps.stride
        fields = encode_fields(
            cells, self.grouping.edges, rows, columns, self.maps.sigma
        )
        return np.concatenate([maps, fields])

    def variants(self) -> Sequence[Self]:
        """Return decoders with other values of `link`, the lowest first.

        Without edges, as of a single body part, this decoder alone.
        """
        grouping = self.grouping
        if not grouping.edges:
            return (self,)
        return [replace(self, grouping=replace(grouping, link=link)) for link in LINKS]

    def to_json(self, bodyparts: Sequence[str]) -> dict[str, JsonValue]:
        """Return the section of the maps, and `animals`."""
        how = self.grouping
        animals: dict[str, JsonValue] = {
            "most": how.most,
            "edges": [[bodyparts[a], bodyparts[b]] for a, b in how.edges],
            "floor": how.floor,
            "link": how.link,
            "worst": how.worst,
            "longest": [*how.longest],
        }
        if isinstance(how, SleapGrouper):
            animals |= {"grouping": "sleap", "fields_stride": how.fields_stride}
        return {**self.maps.to_json(bodyparts), self.section: animals}

    @classmethod
    def from_json(cls, sections: Sections, bodyparts: Sequence[str]) -> Self:
        """Return the decoder of the section `animals` and one section of maps."""
        kind = next((k for k in MAP_DECODERS if k.section in sections), None)
        if kind is None:
            names = " or ".join(decoder.section for decoder in MAP_DECODERS)
            raise ValueError(
                f"animals: part affinity fields need {names}; coordinates → animals "
                "says how many animals coordinates are of"
            )
        maps = kind.from_json(sections, bodyparts)
        options = parse_section(_Animals, cls.section, sections[cls.section])
        edges = edge_indices(bodyparts, options.edges)
        if len(options.longest) not in (0, len(edges)):
            raise ValueError("animals → longest: expected one length per edge, or none")
        common = (
            len(bodyparts), edges, options.most, maps.stride, maps.first_px,
            options.floor, options.link, options.worst, tuple(options.longest),
        )  # fmt: skip
        if options.grouping == "sleap":
            if options.fields_stride % maps.stride:
                raise ValueError(
                    f"animals → fields_stride: {options.fields_stride} must be a multiple of "
                    f"the maps' stride, {maps.stride}"
                )
            return cls(maps, SleapGrouper(*common, options.fields_stride))
        return cls(maps, PafGrouper(*common))


def edge_indices(
    bodyparts: Sequence[str], edges: Sequence[tuple[str, str]]
) -> tuple[tuple[int, int], ...]:
    """Return edges between named body parts as pairs of indices.

    Raises
    ------
    ValueError
        Unless the edges connect all body parts, and each is listed once.
    """
    names = list(bodyparts)
    for edge in edges:
        for name in edge:
            if name not in names:
                raise ValueError(f"animals → edges: there is no body part {name}")
        if edge[0] == edge[1]:
            raise ValueError(f"animals → edges: {edge[0]} is joined to itself")
    if len({frozenset(edge) for edge in edges}) < len(edges):
        raise ValueError("animals → edges: an edge is listed twice")

    # Each round adds the neighbours; as many rounds as body parts reach all of them.
    joined = {names[0]}
    for _ in names:
        joined.update(n for edge in edges if joined & {*edge} for n in edge)
    if alone := [name for name in names if name not in joined]:
        raise ValueError(
            f"animals → edges: no edges connect {names[0]} to {', '.join(alone)}"
        )
    return tuple((names.index(a), names.index(b)) for a, b in edges)
