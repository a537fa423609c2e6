"""A network and all that must be known to use it, as a folder.

`model.json` says what the network knows, how a picture is brought to it, from which
confidence on its points are believed, and how it was made; `network.onnx` takes uint8
pictures (n, height, width, 3), BGR, whatever it does to them inside, and gives heat maps
(n, bodypart, h, w) from 0 to 1; networks from elsewhere may give what `pose/reading.py`
reads instead.
Both are data: nothing in them is ever run as a program.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
from numpy.typing import NDArray

from core.errors import ModelError
from core.pose import Skeleton
from pose.fitting import Fitting
from pose.heatmaps import Heatmaps
from pose.reading import Coordinates, Decoder, Offsets, Read, output_shape, read

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
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


class _Heatmaps(_Words):
    stride: int = pydantic.Field(ge=1, le=64)
    sigma: float = pydantic.Field(gt=0, le=100)
    origin: float | None = pydantic.Field(None, ge=-64, le=64)


class _Offsets(_Words):
    stride: int = pydantic.Field(ge=1, le=64)
    origin: float = pydantic.Field(ge=-64, le=64)
    scale: float = pydantic.Field(gt=0, le=1000)


class _Coordinates(_Words):
    pass


class _Description(_Words):
    format: int = pydantic.Field(ge=1, le=1)
    skeleton: _Skeleton
    input: _Input
    heatmaps: _Heatmaps | None = None
    offsets: _Offsets | None = None
    coordinates: _Coordinates | None = None
    threshold: float = pydantic.Field(ge=0, le=1)
    sha256: str
    about: dict[str, pydantic.JsonValue] = {}

    def decoder(self) -> Decoder | None:
        """Return how points are read; None unless exactly one way is said."""
        said = [
            Heatmaps(**self.heatmaps.model_dump()) if self.heatmaps else None,
            Offsets(**self.offsets.model_dump()) if self.offsets else None,
            Coordinates() if self.coordinates else None,
        ]
        ways = [way for way in said if way is not None]
        return ways[0] if len(ways) == 1 else None


_WAYS: dict[type, str] = {
    Heatmaps: "heatmaps",
    Offsets: "offsets",
    Coordinates: "coordinates",
}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder that was read and found whole."""

    path: Path
    skeleton: Skeleton
    fitting: Fitting
    decoder: Decoder
    """How points are read off what the network gives."""
    threshold: float
    """The confidence below which a point counts as not seen."""
    sha256: str
    """Of the network's file."""
    about: Mapping[str, object]
    """How it was made: command, data, error, licence. For people; nothing reads it."""

    @property
    def network(self) -> Path:
        """The network's file."""
        return self.path / NETWORK

    @property
    def heatmaps(self) -> Heatmaps:
        """How its heat maps are drawn and read; ModelError when it gives none."""
        if not isinstance(self.decoder, Heatmaps):
            raise ModelError(f"{self.path}: its network gives no heat maps")
        return self.decoder

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the network's output for one picture."""
        size = self.fitting.height, self.fitting.width
        return output_shape(self.decoder, len(self.skeleton.bodyparts), *size)

    def read(self, output: NDArray[np.float32]) -> Read:
        """Return points (n, animal, bodypart, 2), input pixels, and confidences."""
        return read(self.decoder, output)


def load_model_folder(path: Path) -> ModelFolder:
    """Return the folder's content; ModelError says in a sentence what is wrong with it."""
    file = path / DESCRIPTION
    try:
        words = _Description.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise ModelError(
            f"{path} is no model folder: it has no {DESCRIPTION}"
        ) from None
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise ModelError(f"{file} is damaged: {_first(error)}") from error
    names = words.skeleton.bodyparts
    if len(set(names)) < len(names):
        raise ModelError(f"{file} is damaged: it names a body part twice")
    for bone in words.skeleton.bones:
        for name in bone:
            if name not in names:
                raise ModelError(
                    f"{file} is damaged: a bone ends at no body part {name}"
                )
    decoder = words.decoder()
    if decoder is None:
        raise ModelError(
            f"{file} is damaged: it must say one of heatmaps, offsets and coordinates"
        )
    digest = network_hash(path / NETWORK)
    if digest != words.sha256:
        raise ModelError(
            f"{path / NETWORK} is damaged, or not the network that {DESCRIPTION} "
            f"describes: its sha256 begins with {digest[:8]}, not {words.sha256[:8]}"
        )
    return ModelFolder(
        path=path,
        skeleton=Skeleton(tuple(names), tuple(words.skeleton.bones)),
        fitting=Fitting(words.input.height, words.input.width),
        decoder=decoder,
        threshold=words.threshold,
        sha256=digest,
        about=words.about,
    )


def save_description(model: ModelFolder) -> None:
    """Write `model.json`; the network's file lies beside it already."""
    words = {
        "format": 1,
        "skeleton": {
            "bodyparts": list(model.skeleton.bodyparts),
            "bones": [list(bone) for bone in model.skeleton.bones],
        },
        "input": {
            "height": model.fitting.height,
            "width": model.fitting.width,
            "colour": "BGR",
            "pixels": "uint8",
        },
        _WAYS[type(model.decoder)]: {
            key: value
            for key, value in asdict(model.decoder).items()
            if value is not None
        },
        "threshold": model.threshold,
        "sha256": model.sha256,
        "about": dict(model.about),
    }
    text = json.dumps(words, indent=2, ensure_ascii=False) + "\n"
    (model.path / DESCRIPTION).write_text(text, encoding="utf-8")


def network_hash(file: Path) -> str:
    """Return the sha256 of a network's file; ModelError when it can't be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error


def _first(error: pydantic.ValidationError) -> str:
    fault = error.errors()[0]
    place = " → ".join(str(step) for step in fault["loc"])
    return f"{place}: {fault['msg']}" if place else fault["msg"]
