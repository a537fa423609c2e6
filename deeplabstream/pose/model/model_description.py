"""What `model.json` says, and whether it can be so."""

from typing import Literal

import pydantic

from deeplabstream.pose.decoders.decoders import (
    Coordinates,
    Decoder,
    MultiAnimalDecoder,
    Offsets,
)
from deeplabstream.pose.decoders.grouping import Grouping
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.part_affinity_fields import SAMPLES, WORST
from deeplabstream.pose.image_fitting import REST, Align, Fit, Fitting, Sampling

SIDE = pydantic.Field(ge=16, le=4096)
LINEAR = pydantic.Field(None, gt=0, lt=1)


class _Words(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class _Skeleton(_Words):
    bodyparts: list[str] = pydantic.Field(min_length=1)
    bones: list[tuple[str, str]] = []


class _Input(_Words):
    height: int = SIDE
    width: int = SIDE
    colour: Literal["BGR"] = "BGR"
    pixels: Literal["uint8"] = "uint8"
    fit: Fit = "letterbox"
    rest: int = pydantic.Field(REST, ge=0, le=255)
    sampling: Sampling = "average"
    align: Align = "centre"
    area: tuple[int, int] | None = None

    @pydantic.model_validator(mode="after")
    def _area_inside(self) -> "_Input":
        if self.area and not (
            0 < self.area[0] <= self.height and 0 < self.area[1] <= self.width
        ):
            raise ValueError("area: rows and columns, within height and width")
        return self

    def fitting(self) -> Fitting:
        """Return how pictures are brought to the input."""
        return Fitting(**self.model_dump(exclude={"colour", "pixels"}))


class _Heatmaps(_Words):
    stride: int = pydantic.Field(ge=1, le=64)
    sigma: float = pydantic.Field(gt=0, le=100)
    origin: float | None = pydantic.Field(None, ge=-64, le=64)
    linear_to: float | None = LINEAR
    centroid: Literal[3, 5, 7, 9] | None = None


class _Offsets(_Words):
    stride: int = pydantic.Field(ge=1, le=64)
    origin: float = pydantic.Field(ge=-64, le=64)
    scale: float = pydantic.Field(gt=0, le=1000)


class _Coordinates(_Words):
    animals: int = pydantic.Field(1, ge=1, le=100)
    linear_to: float | None = LINEAR


class _Animals(_Words):
    most: int = pydantic.Field(ge=1, le=100)
    edges: list[tuple[str, str]]
    floor: float = pydantic.Field(0.1, ge=0, le=1)
    link: float = pydantic.Field(0.25, ge=0, le=1)
    worst: int = pydantic.Field(WORST, ge=1, le=SAMPLES)
    longest: list[float] = []


class _Confidence(_Words):
    slope: float = pydantic.Field(gt=0, le=100)
    shift: float = pydantic.Field(ge=-100, le=100)
    within_px: float = pydantic.Field(gt=0)


class Description(_Words):
    """All of it."""

    format: int = pydantic.Field(ge=1, le=1)
    skeleton: _Skeleton
    input: _Input
    heatmaps: _Heatmaps | None = None
    offsets: _Offsets | None = None
    coordinates: _Coordinates | None = None
    animals: _Animals | None = None
    frames: int = pydantic.Field(1, ge=1, le=99)
    confidence: _Confidence | None = None
    imported: int | None = pydantic.Field(None, ge=1)
    threshold: float = pydantic.Field(ge=0, le=1)
    sha256: str
    about: dict[str, pydantic.JsonValue] = {}

    def decoder(self) -> Decoder | None:
        """Return how points are read; None unless exactly one way is said.

        ValueError when what is said of several animals contradicts itself.
        """
        said = [
            Heatmaps(**self.heatmaps.model_dump()) if self.heatmaps else None,
            Offsets(**self.offsets.model_dump()) if self.offsets else None,
            Coordinates(**self.coordinates.model_dump()) if self.coordinates else None,
        ]
        ways = [way for way in said if way is not None]
        if len(ways) != 1 or self.animals is None:
            return ways[0] if len(ways) == 1 else None
        maps = ways[0]
        if isinstance(maps, Coordinates):
            raise ValueError(
                "animals are grouped by fields, which coordinates have none of"
            )
        first = maps.first if isinstance(maps, Heatmaps) else maps.origin
        names = self.skeleton.bodyparts
        edges = edge_places(names, self.animals.edges)
        if len(self.animals.longest) not in (0, len(edges)):
            raise ValueError("animals → longest: one length for each edge, or none")
        return MultiAnimalDecoder(
            maps,
            Grouping(
                len(names), edges, self.animals.most, maps.stride, first,
                self.animals.floor, self.animals.link, self.animals.worst,
                tuple(self.animals.longest),
            ),
        )  # fmt: skip


def edge_places(
    names: list[str], edges: list[tuple[str, str]]
) -> tuple[tuple[int, int], ...]:
    """Return edges as places; ValueError unless they join all body parts, each once."""
    for edge in edges:
        for name in edge:
            if name not in names:
                raise ValueError(f"an edge ends at no body part {name}")
        if edge[0] == edge[1]:
            raise ValueError(f"an edge leads from {edge[0]} to itself")
    if len({frozenset(edge) for edge in edges}) < len(edges):
        raise ValueError("it names an edge twice")
    joined = {names[0]}
    for _ in names:
        joined.update(n for edge in edges if joined & {*edge} for n in edge)
    if alone := [name for name in names if name not in joined]:
        raise ValueError(f"no edges lead from {names[0]} to {', '.join(alone)}")
    return tuple((names.index(a), names.index(b)) for a, b in edges)
