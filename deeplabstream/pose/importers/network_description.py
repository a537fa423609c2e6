"""The description file of a foreign ONNX network: its input and its outputs.

{
  "bodyparts": ["snout", "tailbase"],
  "input": {"layout": "NCHW", "width": 256, "height": 256, "colour": "RGB",
            "mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]},
  "heatmaps": {"output": "maps", "values": "logits", "stride": 4, "sigma": 1.25}
}

A section names a decoder (`deeplabstream/pose/decoders`). Keys that are not declared here
go to the decoder as they are.
"""

from pathlib import Path
from typing import Any, Literal, TypeAlias

import pydantic

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.decoders.heatmaps import LINEAR_TO
from deeplabstream.pose.decoders.registry import (
    alternatives,
    decoder_from_json,
    decoder_sections,
)
from deeplabstream.pose.image_fitting import REST, Align, Fit, Fitting, Sampling

Layout: TypeAlias = Literal["NCHW", "NHWC"]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class NetworkInput(_Section):
    """The input image: (n, channel, row, column), or with channels last."""

    layout: Layout = "NCHW"
    width: int = pydantic.Field(ge=16, le=4096)
    height: int = pydantic.Field(ge=16, le=4096)
    colour: Literal["RGB", "BGR", "GREY"] = "RGB"
    mean: list[float] = pydantic.Field([0.0], min_length=1, max_length=3)
    """Subtracted from the pixels, 0 to 255; in the order of `colour`."""
    std: list[float] = pydantic.Field([255.0], min_length=1, max_length=3)
    """Divides them afterwards."""
    fit: Fit = "letterbox"
    """Fitting of frames to the input size; these five are fields of `Fitting`."""
    rest: int = pydantic.Field(REST, ge=0, le=255)
    sampling: Sampling = "average"
    align: Align = "centre"
    area: tuple[int, int] | None = None

    @property
    def fitting(self) -> Fitting:
        """How frames are fitted to the input size."""
        return Fitting(
            self.height,
            self.width,
            self.fit,
            self.rest,
            self.sampling,
            self.align,
            self.area,
        )

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return 1 if self.colour == "GREY" else 3


class Outputs(pydantic.BaseModel):
    """Outputs for a decoder: joined along the channels in this order, otherwise unchanged."""

    model_config = pydantic.ConfigDict(extra="allow")
    outputs: list[str] = pydantic.Field(min_length=1)
    """Names of the network's outputs."""
    layout: Layout = "NCHW"

    def decoder_values(self) -> dict[str, pydantic.JsonValue]:
        """Return the decoder's own keys."""
        return self._without("outputs", "layout")

    def _without(self, *keys: str) -> dict[str, pydantic.JsonValue]:
        return self.model_dump(mode="json", exclude={*keys}, exclude_none=True)


class HeatmapSection(Outputs):
    """One map per body part."""

    outputs: list[str] = []
    output: str = ""
    """Name of the output; empty: the first."""
    values: Literal["probabilities", "logits", "mass", "scores"] = "probabilities"
    """`mass`: each map sums up to 1; `scores`: like probabilities, without an upper bound."""
    stride: int = pydantic.Field(ge=1, le=64)
    sigma: float = pydantic.Field(gt=0, le=100)
    """Standard deviation of the Gaussians it was trained on, in cells."""
    origin: float | None = None
    """Input pixel of the centre of cell 0; default (stride − 1) / 2."""
    centroid: Literal[3, 5, 7, 9] | None = None
    """Side, in cells, of the square whose centroid is the point; default: Gaussian."""

    def decoder_values(self) -> dict[str, pydantic.JsonValue]:
        """Return the decoder's own keys."""
        own = self._without("outputs", "output", "layout", "values")
        bound = LINEAR_TO if self.values in ("mass", "scores") else None
        return {"linear_to": bound, **own}


class OffsetSection(Outputs):
    """Score maps, and offsets x0, y0, x1, y1 … from each cell (DeepLabCut)."""

    outputs: list[str] = []
    scores: str
    offsets: str
    values: Literal["probabilities", "logits"] = "probabilities"
    stride: int = pydantic.Field(ge=1, le=64)

    def decoder_values(self) -> dict[str, pydantic.JsonValue]:
        """Return the decoder's own keys."""
        return self._without("outputs", "scores", "offsets", "layout", "values")


class CoordinateSection(Outputs):
    """The points: (n, 2 · bodypart) or (n, bodypart, 2), x and y; NaN: not visible.

    Of several animals, all points of the first come first: (n, animal, bodypart, 2).
    """

    outputs: list[str] = []
    output: str = ""
    """Name of the output; empty: the first."""
    confidences: str = ""
    """Name of the output (n, bodypart), or (n, animal, bodypart), with confidences; empty:
    1 for all visible points."""
    values: Literal["probabilities", "scores"] = "probabilities"
    """Kind of the confidences; `scores` have no upper bound."""
    animals: int = 1
    scale: list[float] = pydantic.Field([1.0, 1.0], min_length=2, max_length=2)
    """Input pixels per unit, along x and y."""
    origin: float = 0.0
    """Input pixel of coordinate 0."""

    def decoder_values(self) -> dict[str, pydantic.JsonValue]:
        """Return the decoder's own keys."""
        own = self._without(
            "outputs", "output", "confidences", "layout", "values", "scale", "origin"
        )
        bound = LINEAR_TO if self.values == "scores" else None
        return {"linear_to": bound, **own}


class AnimalSection(Outputs):
    """Part affinity fields beside heat maps or offsets; they join body parts to animals.

    See `deeplabstream/pose/decoders/part_affinity_fields.py`.
    """

    outputs: list[str] = []
    fields: str
    """Name of the output (n, 2 · edge, h, w), x before y, with the layout of the maps."""
    stride: int | None = pydantic.Field(None, ge=1, le=64)
    """Input pixels per cell of the fields; default: that of the maps. Cell 0 of both has
    the same place."""
    edges: list[tuple[str, str]]
    most: int
    """Largest number of animals in one image."""
    floor: float = 0.1
    """Lowest peak."""
    grouping: Literal["sleap"] | None = None
    """`sleap`: peaks are joined as SLEAP-NN does; default: as of our own networks."""

    def decoder_values(self) -> dict[str, pydantic.JsonValue]:
        """Return the decoder's own keys."""
        own = self._without("outputs", "fields", "stride", "layout")
        if self.grouping and self.stride:
            own["fields_stride"] = self.stride
        return own


class NetworkDescription(pydantic.BaseModel):
    """The description file; sections of other decoders are the extra keys."""

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Outputs]
    bodyparts: list[str] = pydantic.Field(min_length=1)
    edges: list[tuple[str, str]] = pydantic.Field(
        [], validation_alias=pydantic.AliasChoices("edges", "bones")
    )
    """Edges of the skeleton; the alias is their key in earlier versions."""
    input: NetworkInput
    heatmaps: HeatmapSection | None = None
    offsets: OffsetSection | None = None
    coordinates: CoordinateSection | None = None
    animals: AnimalSection | None = None
    frames: int = pydantic.Field(1, ge=1, le=99)
    """Consecutive frames from which the pose in the middle one is estimated. If more than 1,
    the network takes n consecutive images and gives the output of each."""
    threshold: float = pydantic.Field(0.5, ge=0, le=1)
    pictures: Literal["own", "drawn"] = "drawn"
    """Content of the reference's frames; `own`: similar to the training images."""
    left_out: list[str] = []
    """Body parts of the original that are not imported."""
    licence: str = ""
    source: str = ""
    """Description of its origin."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_keys(cls, document: Any) -> Any:
        known = {*cls.model_fields, "bones", *decoder_sections()}
        for key in document if isinstance(document, dict) else ():
            if key not in known:
                raise ValueError(f"{key}: there is no such key")
        return document

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> "NetworkDescription":
        if len(set(self.bodyparts)) < len(self.bodyparts):
            raise ValueError("bodyparts: a body part is named twice")
        if unknown := {end for edge in self.edges for end in edge} - {*self.bodyparts}:
            raise ValueError(f"edges: there is no body part {min(unknown)}")
        for name, values in (("mean", self.input.mean), ("std", self.input.std)):
            if len(values) not in (1, self.input.channels):
                raise ValueError(
                    f"{name}: expected one number, or {self.input.channels}"
                )
        if 0 in self.input.std:
            raise ValueError("std: 0 can't be divided by")
        self.decoder()
        return self

    @property
    def others(self) -> dict[str, Outputs]:
        """Sections of decoders whose outputs need no conversion, by name."""
        return self.__pydantic_extra__ or {}

    def decoder(self) -> Decoder:
        """Return the decoder of the imported network's output.

        Raises
        ------
        ValueError
            When the sections do not describe exactly one decoder.
        """
        known = {
            "heatmaps": self.heatmaps,
            "offsets": self.offsets,
            "coordinates": self.coordinates,
            "animals": self.animals,
        }
        sections: dict[str, pydantic.JsonValue] = {
            name: section.decoder_values()
            for name, section in {**known, **self.others}.items()
            if section is not None
        }
        return decoder_from_json(sections, self.bodyparts)


def read_description(file: Path) -> NetworkDescription:
    """Return the content of a description file.

    Raises
    ------
    ModelError
        With file, key and reason.
    """
    try:
        return NetworkDescription.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"])
        reason = fault["msg"].removeprefix("Value error, ")
        raise ModelError(f"{file}: {f'{place}: ' if place else ''}{reason}") from error


def no_outputs() -> ModelError:
    """Return the error of a description without outputs."""
    return ModelError(f"the description must say one of {alternatives()}")
