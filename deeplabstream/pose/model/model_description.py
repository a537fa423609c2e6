"""The contents of `model.json`, validated."""

from typing import Literal

import pydantic

from deeplabstream.pose.decoders.decoder import Sections
from deeplabstream.pose.decoders.registry import decoder_sections
from deeplabstream.pose.image_fitting import REST, Align, Fit, Fitting, Sampling

SIDE = pydantic.Field(ge=16, le=4096)


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
    window: float = pydantic.Field(0.0, ge=0, le=1)

    @pydantic.model_validator(mode="after")
    def _area_inside(self) -> "_Input":
        if self.area and not (
            0 < self.area[0] <= self.height and 0 < self.area[1] <= self.width
        ):
            raise ValueError("area: expected rows and columns within height and width")
        return self

    def fitting(self) -> Fitting:
        """Return how frames are brought to the input size."""
        return Fitting(**self.model_dump(exclude={"colour", "pixels"}))


class _Confidence(_Words):
    slope: float = pydantic.Field(gt=0, le=100)
    shift: float = pydantic.Field(ge=-100, le=100)
    within_px: float = pydantic.Field(gt=0)


class Description(_Words):
    """`model.json`; the decoder's sections are the extra keys."""

    model_config = pydantic.ConfigDict(extra="allow", strict=True)
    format: int = pydantic.Field(ge=1, le=1)
    skeleton: _Skeleton
    input: _Input
    frames: int = pydantic.Field(1, ge=1, le=99)
    views: list[str] = []
    confidence: _Confidence | None = None
    imported: int | None = pydantic.Field(None, ge=1)
    threshold: float = pydantic.Field(ge=0, le=1)
    sha256: str
    about: dict[str, pydantic.JsonValue] = {}

    @pydantic.model_validator(mode="after")
    def _known_keys(self) -> "Description":
        for key in self.sections:
            if key not in decoder_sections():
                raise ValueError(f"{key}: there is no such key")
        return self

    @property
    def sections(self) -> Sections:
        """The decoder's sections."""
        return self.model_extra or {}
