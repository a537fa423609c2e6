"""A model folder: a network and all that is needed to use it.

`model.json` holds the skeleton, the input size, the decoder, the confidence threshold, and
how the network was made. `network.onnx` takes uint8 images (n, height, width, 3), BGR,
and does its own normalisation. Its output is what the decoder reads
(`deeplabstream/pose/decoders`); our own networks give heat maps (n, bodypart, h, w) from
0 to 1. Networks for several animals give part affinity fields after them: 2 · edge maps,
x before y. Both files are data: nothing in them is run as a program.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pydantic
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.overwriting import check_new
from deeplabstream.pose.decoders.decoder import DecodedPoses, Decoder
from deeplabstream.pose.decoders.registry import decoder_from_json
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.confidence_calibration import ConfidenceScale
from deeplabstream.pose.model.model_description import Description

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
IMPORTED = 2
"""Current version of the rules by which networks of other programs are imported."""
DETECTOR = "detector"
"""Folder within a model folder: the network that finds the animal for it."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder, read and validated."""

    path: Path
    skeleton: Skeleton
    fitting: Fitting
    decoder: Decoder
    """Converts the network's output to poses."""
    threshold: float
    """Confidence below which a point counts as not visible."""
    sha256: str
    """Checksum of the network's file."""
    about: Mapping[str, object]
    """How it was made: command, data, error, licence. For information only."""
    frames: int = 1
    """Consecutive frames from which the pose in the middle one is estimated. When it is
    more than 1, the images of one call must be consecutive; the first and the last are
    repeated at the ends."""
    views: tuple[str, ...] = ()
    """Names of the views of a multi-view network. The images of one call must be one of
    each view, in this order, moment by moment; each gets its own pose."""
    confidence: ConfidenceScale | None = None
    """Calibration of the confidences; None: not calibrated."""
    imported: int | None = None
    """Version of the import rules for a network of another program; None: our own, or
    imported before the rules had versions."""

    @property
    def network(self) -> Path:
        """The network's file."""
        return self.path / NETWORK

    @property
    def licence(self) -> str:
        """Its licence; where none is named, those of the networks that it was made from."""
        if own := self.about.get("licence"):
            return str(own)
        made_from = (self.about.get("started_from"), self.about.get("distilled"))
        named = [each.get("licence") for each in made_from if isinstance(each, Mapping)]
        return "; ".join(dict.fromkeys(str(each) for each in named if each))

    @property
    def outdated(self) -> str:
        """Problem with how the network was imported, as a sentence; empty: none."""
        if self.imported is not None or "imported_from" not in self.about:
            return ""
        return (
            f"{self.path} was imported by an earlier version, which did not prepare frames "
            "as the program that trained the network does, and cut off scores above 1: its "
            "points can be wrong. Import it again with utils/ImportModel.py."
        )

    @property
    def animals(self) -> int:
        """Largest number of animals found in one image."""
        return self.decoder.animals

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The accepted shapes of the network's output for one image."""
        size = self.fitting.height, self.fitting.width
        return self.decoder.output_shapes(len(self.skeleton.bodyparts), *size)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the poses in the network's output, with calibrated confidences.

        Parameters
        ----------
        output
            (n, *shape) with one of `output_shapes`, as the network gives it.

        Returns
        -------
        points
            (n, animal, bodypart, 2), pixels of the network's input; NaN: not found.
        confidences
            (n, animal, bodypart), 0 to 1; 0 where the point is NaN.
        """
        points, sure = self.decoder.decode(output)
        if self.confidence is None:
            return points, sure
        there = np.isfinite(points).all(axis=-1)
        return points, np.where(there, self.confidence(sure), np.float32(0))


def load_model_folder(path: Path) -> ModelFolder:
    """Return the model in a folder.

    Raises
    ------
    ModelError
        With file and reason, when a file is missing, damaged or does not match.
    """
    file = path / DESCRIPTION
    try:
        words = Description.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise ModelError(
            f"{path} is not a model folder: it has no {DESCRIPTION}"
        ) from None
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise ModelError(f"{file} is damaged: {_first(error)}") from error
    names = words.skeleton.bodyparts
    if len(set(names)) < len(names):
        raise ModelError(f"{file} is damaged: it names a body part twice")
    if len(words.views) == 1 or len(set(words.views)) < len(words.views):
        raise ModelError(
            f"{file} is damaged: views: expected two names or more, or none"
        )
    for edge in words.skeleton.bones:
        for name in edge:
            if name not in names:
                raise ModelError(
                    f"{file} is damaged: an edge ends at an unknown body part {name}"
                )
    try:
        decoder = decoder_from_json(words.sections, names)
    except ValueError as error:
        raise ModelError(f"{file} is damaged: {error}") from error
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
        views=tuple(words.views),
        confidence=ConfidenceScale(**words.confidence.model_dump())
        if words.confidence
        else None,
        imported=words.imported,
    )


def save_description(model: ModelFolder) -> None:
    """Write `model.json` beside the network's file."""
    words = {
        "format": 1,
        "skeleton": {
            "bodyparts": list(model.skeleton.bodyparts),
            "bones": [list(edge) for edge in model.skeleton.edges],
        },
        "input": {
            "height": model.fitting.height,
            "width": model.fitting.width,
            "colour": "BGR",
            "pixels": "uint8",
            **_unusual(model.fitting),
        },
        **model.decoder.to_json(model.skeleton.bodyparts),
        **({"frames": model.frames} if model.frames > 1 else {}),
        **({"views": list(model.views)} if model.views else {}),
        **({"confidence": asdict(model.confidence)} if model.confidence else {}),
        **({"imported": model.imported} if model.imported else {}),
        "threshold": model.threshold,
        "sha256": model.sha256,
        "about": dict(model.about),
    }
    text = json.dumps(words, indent=2, ensure_ascii=False) + "\n"
    (model.path / DESCRIPTION).write_text(text, encoding="utf-8")


def _unusual(fitting: Fitting) -> dict[str, object]:
    """Return the settings that differ from those of our own networks."""
    usual = asdict(Fitting(fitting.height, fitting.width))
    return {key: said for key, said in asdict(fitting).items() if said != usual[key]}


def network_hash(file: Path) -> str:
    """Return the sha256 of a network's file; ModelError when it can't be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error


def _first(error: pydantic.ValidationError) -> str:
    fault = error.errors()[0]
    place = " → ".join(str(step) for step in fault["loc"])
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, which takes its name if all goes well.

    If not, nothing is left of it, and errors name the folder that was asked for. ModelError
    when something is there already.
    """
    if (folder / DESCRIPTION).exists():
        raise ModelError(f"{folder} already contains a model; name a new folder")
    check_new(folder, ModelError)
    whole = folder.resolve()
    if whole == Path.cwd():
        raise ModelError(f"{whole} is the folder of the program; name a new folder")
    whole.parent.mkdir(parents=True, exist_ok=True)
    draft = whole.with_name(f".{whole.name}.{os.getpid()}")
    draft.mkdir()
    try:
        yield draft
        if whole.is_dir():
            whole.rmdir()
        replace(draft, whole)
    except ModelError as error:
        raise ModelError(str(error).replace(str(draft), str(folder))) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
