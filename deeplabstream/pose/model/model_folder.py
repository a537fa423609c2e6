"""A network and all that must be known to use it, as a folder.

`model.json` says what the network knows, how a picture is brought to it, from which
confidence on its points are believed, and how it was made; `network.onnx` takes uint8
pictures (n, height, width, 3), BGR, whatever it does to them inside, and gives heat maps
(n, bodypart, h, w) from 0 to 1; networks from elsewhere may give what
`deeplabstream/pose/decoders/decoders.py`
reads instead. Where `model.json` says `animals`, the part affinity fields of their edges
follow in the same output: 2 · edge maps, x before y.
Both are data: nothing in them is ever run as a program.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pydantic
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoders import (
    Coordinates,
    Decoder,
    MultiAnimalDecoder,
    Offsets,
    Read,
    animals,
    output_shape,
    read,
)
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.confidence_calibration import ConfidenceScale
from deeplabstream.pose.model.model_description import Description

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
IMPORTED = 2
"""The version of the rules by which networks from elsewhere are imported now."""
DETECTOR = "detector"
"""Within a model folder: the network that finds the animal for it."""


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
    frames: int = 1
    """Consecutive pictures that it looks at for the middle one; pictures that are given
    to it at once follow each other when it is more than one. Missing neighbours, at the
    ends, are taken for the picture itself."""
    confidence: ConfidenceScale | None = None
    """What its confidences are worth; None: they are left as they come."""
    imported: int | None = None
    """By which version of the rules a network from elsewhere was imported; None: it is
    our own, or was imported before they had one."""

    @property
    def network(self) -> Path:
        """The network's file."""
        return self.path / NETWORK

    @property
    def heatmaps(self) -> Heatmaps:
        """How its heat maps are drawn and read; ModelError when it gives none."""
        maps = (
            self.decoder.maps
            if isinstance(self.decoder, MultiAnimalDecoder)
            else self.decoder
        )
        if not isinstance(maps, Heatmaps):
            raise ModelError(f"{self.path}: its network gives no heat maps")
        return maps

    @property
    def outdated(self) -> str:
        """What is wrong with how it was imported, as a sentence; empty: nothing."""
        if self.imported is not None or "imported_from" not in self.about:
            return ""
        return (
            f"{self.path} was imported by an earlier version, which did not prepare frames "
            "as the program that trained the network does, and cut off scores above 1: its "
            "points can be wrong. Import it anew with utils/ImportModel.py."
        )

    @property
    def animals(self) -> int:
        """How many animals it tells of in each picture."""
        return animals(self.decoder)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the network's output for one picture."""
        size = self.fitting.height, self.fitting.width
        return output_shape(self.decoder, len(self.skeleton.bodyparts), *size)

    def read(self, output: NDArray[np.float32]) -> Read:
        """Return points (n, animal, bodypart, 2), input pixels, and confidences."""
        points, sure = read(self.decoder, output)
        if self.confidence is None:
            return points, sure
        there = np.isfinite(points).all(axis=-1)
        return points, np.where(there, self.confidence(sure), np.float32(0))


def load_model_folder(path: Path) -> ModelFolder:
    """Return the folder's content; ModelError says in a sentence what is wrong with it."""
    file = path / DESCRIPTION
    try:
        words = Description.model_validate_json(file.read_bytes())
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
    try:
        decoder = words.decoder()
    except ValueError as error:
        raise ModelError(f"{file} is damaged: {error}") from error
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
        fitting=words.input.fitting(),
        decoder=decoder,
        threshold=words.threshold,
        sha256=digest,
        about=words.about,
        frames=words.frames,
        confidence=ConfidenceScale(**words.confidence.model_dump())
        if words.confidence
        else None,
        imported=words.imported,
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
            **_unusual(model.fitting),
        },
        **_said(model),
        **({"frames": model.frames} if model.frames > 1 else {}),
        **({"confidence": asdict(model.confidence)} if model.confidence else {}),
        **({"imported": model.imported} if model.imported else {}),
        "threshold": model.threshold,
        "sha256": model.sha256,
        "about": dict(model.about),
    }
    text = json.dumps(words, indent=2, ensure_ascii=False) + "\n"
    (model.path / DESCRIPTION).write_text(text, encoding="utf-8")


def _unusual(fitting: Fitting) -> dict[str, object]:
    """Return in which way pictures are fitted otherwise than to our own networks."""
    usual = asdict(Fitting(fitting.height, fitting.width))
    return {key: said for key, said in asdict(fitting).items() if said != usual[key]}


def _said(model: ModelFolder) -> dict[str, object]:
    """Return how points are read, in the words of `model.json`."""
    several = model.decoder if isinstance(model.decoder, MultiAnimalDecoder) else None
    maps = several.maps if several else model.decoder
    words = {key: value for key, value in asdict(maps).items() if value is not None}
    said: dict[str, object] = {_WAYS[type(maps)]: words}
    if several:
        how, names = several.grouping, model.skeleton.bodyparts
        said["animals"] = {
            "most": how.most,
            "edges": [[names[a], names[b]] for a, b in how.edges],
            "floor": how.floor,
            "link": how.link,
            "worst": how.worst,
            "longest": list(how.longest),
        }
    return said


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
