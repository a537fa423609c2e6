"""The short file that says what a foreign ONNX network wants and gives.

{
  "bodyparts": ["snout", "tailbase"],
  "input": {"layout": "NCHW", "width": 256, "height": 256, "colour": "RGB",
            "mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]},
  "heatmaps": {"output": "maps", "values": "logits", "stride": 4, "sigma": 1.25}
}
"""

from pathlib import Path
from typing import Literal

import pydantic

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.part_affinity_fields import SAMPLES, WORST
from deeplabstream.pose.image_fitting import REST, Align, Fit, Fitting, Sampling
from deeplabstream.pose.model.confidence_calibration import LINEAR_TO
from deeplabstream.pose.model.model_description import edge_places


class _Words(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Input(_Words):
    """What it wants: pictures as (n, channel, row, column) or with channels last."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    width: int = pydantic.Field(ge=16, le=4096)
    height: int = pydantic.Field(ge=16, le=4096)
    colour: Literal["RGB", "BGR", "GREY"] = "RGB"
    mean: list[float] = pydantic.Field([0.0], min_length=1, max_length=3)
    """Of the pixels, 0 to 255, taken away; in the order of `colour`."""
    std: list[float] = pydantic.Field([255.0], min_length=1, max_length=3)
    """They are divided by it then."""
    fit: Fit = "letterbox"
    """Fitting of frames to the input size; these five are fields of `Fitting`."""
    rest: int = pydantic.Field(REST, ge=0, le=255)
    sampling: Sampling = "average"
    align: Align = "centre"
    area: tuple[int, int] | None = None

    @property
    def fitting(self) -> Fitting:
        """How frames are brought to it."""
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
        """How many there are."""
        return 1 if self.colour == "GREY" else 3


class Heatmaps(_Words):
    """It gives one map per body part."""

    output: str = ""
    """The output's name; empty: its first."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    values: Literal["probabilities", "logits", "mass", "scores"] = "probabilities"
    """`mass`: each map sums up to 1; `scores`: as probabilities, without an upper bound."""
    stride: int = pydantic.Field(ge=1, le=64)
    sigma: float = pydantic.Field(gt=0, le=100)
    """Of the Gaussians that it was taught, in cells."""
    origin: float | None = pydantic.Field(None, ge=-64, le=64)
    """The input pixel at which the centre of cell 0 lies; (stride − 1) / 2 if not said."""
    centroid: Literal[3, 5, 7, 9] | None = None
    """Cells along a side of the square whose centroid is the point; Gaussian if not said."""

    @property
    def linear_to(self) -> float | None:
        """Mapping from scores to confidences: see `pose.model.confidence_calibration`."""
        return LINEAR_TO if self.values in ("mass", "scores") else None


class Offsets(_Words):
    """It gives score maps, and offsets x0, y0, x1, y1 … from each cell (DeepLabCut)."""

    scores: str
    offsets: str
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    values: Literal["probabilities", "logits"] = "probabilities"
    stride: int = pydantic.Field(ge=1, le=64)
    origin: float = pydantic.Field(ge=-64, le=64)
    scale: float = pydantic.Field(gt=0, le=1000)
    """Input pixels per unit of an offset (DeepLabCut's locref_stdev)."""


class Coordinates(_Words):
    """It gives the points: (n, 2 · bodyparts) or (n, bodypart, 2), x and y.

    Coordinates that are no numbers (NaN) are points that it does not see. Of several
    animals, all points of the first come first: (n, animal, bodypart, 2).
    """

    output: str = ""
    confidences: str = ""
    """The output (n, bodypart), or (n, animal, bodypart), that says how sure it is;
    empty: always of all."""
    values: Literal["probabilities", "scores"] = "probabilities"
    """What it says there; `scores` have no upper bound."""
    animals: int = pydantic.Field(1, ge=1, le=100)
    scale: list[float] = pydantic.Field([1.0, 1.0], min_length=2, max_length=2)
    """Input pixels per unit, along x and y."""
    origin: float = 0.0
    """The input pixel at which its 0 lies."""

    @property
    def linear_to(self) -> float | None:
        """Mapping from scores to confidences: see `pose.model.confidence_calibration`."""
        return LINEAR_TO if self.values == "scores" else None


class Animals(_Words):
    """Beside heat maps or offsets, it gives fields that join body parts to animals.

    They are part affinity fields as `deeplabstream/pose/decoders/part_affinity_fields.py` has them.
    """

    fields: str
    """The output (n, 2 · edge, h, w), x before y, with the layout of the maps."""
    stride: int | None = pydantic.Field(None, ge=1, le=64)
    """Of the fields' cells; if not said, that of the maps. Where cells of different size
    lie is told alike: of both, cell 0 has the same place."""
    edges: list[tuple[str, str]]
    most: int = pydantic.Field(ge=1, le=100)
    """The most animals in a picture."""
    floor: float = pydantic.Field(0.1, ge=0, le=1)
    """Peaks that are lower are none."""
    link: float = pydantic.Field(default=0.25, ge=0, le=1)
    """What a field must say for two peaks to be joined."""
    worst: int = pydantic.Field(default=WORST, ge=1, le=SAMPLES)
    """Of so many places on the line between them, those that say least."""


class Description(_Words):
    """All of it."""

    bodyparts: list[str] = pydantic.Field(min_length=1)
    bones: list[tuple[str, str]] = []
    input: Input
    heatmaps: Heatmaps | None = None
    offsets: Offsets | None = None
    coordinates: Coordinates | None = None
    animals: Animals | None = None
    threshold: float = pydantic.Field(0.5, ge=0, le=1)
    pictures: Literal["own", "drawn"] = "drawn"
    """What the pictures of a reference are: `own`, of what it was made for."""
    left_out: list[str] = []
    """Body parts that the original tells of, and this does not."""
    licence: str = ""
    source: str = ""
    """Where it is from, in words."""

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> "Description":
        ways = [self.heatmaps, self.offsets, self.coordinates]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("say one of heatmaps, offsets and coordinates")
        if len(set(self.bodyparts)) < len(self.bodyparts):
            raise ValueError("a body part is named twice")
        if unknown := {end for bone in self.bones for end in bone} - {*self.bodyparts}:
            raise ValueError(f"a bone ends at no body part {min(unknown)}")
        for name, values in (("mean", self.input.mean), ("std", self.input.std)):
            if len(values) not in (1, self.input.channels):
                raise ValueError(f"{name}: one number, or {self.input.channels}")
        if 0 in self.input.std:
            raise ValueError("std: nothing can be divided by 0")
        if self.animals:
            if self.coordinates:
                raise ValueError(
                    "animals: of coordinates, coordinates → animals says it"
                )
            edge_places(self.bodyparts, self.animals.edges)
        return self

    @property
    def most(self) -> int:
        """How many animals it tells of."""
        if self.animals:
            return self.animals.most
        return self.coordinates.animals if self.coordinates else 1


def read_description(file: Path) -> Description:
    """Return what the file says; ModelError says in a sentence what is wrong with it."""
    try:
        return Description.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"])
        words = fault["msg"].removeprefix("Value error, ")
        raise ModelError(f"{file}: {f'{place}: ' if place else ''}{words}") from error
