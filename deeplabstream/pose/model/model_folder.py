"""Model folder: a network and all files needed to use it.

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
from typing import Any, Literal

import pydantic

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.foreign_files import open_regular
from deeplabstream.files.overwriting import check_new
from deeplabstream.files.path_containment import inside
from deeplabstream.pose.decoders.decoder import Decoder, Sections
from deeplabstream.pose.decoders.registry import decoder_from_json, decoder_sections
from deeplabstream.pose.image_fitting import REST, Align, Fit, Fitting, Sampling
from deeplabstream.pose.network_estimator import ConfidenceScale

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
IMPORTED = 2
"""Current version of the rules by which networks of other programs are imported."""
DETECTOR = "detector"
"""Sub-folder of a model folder with its detector network."""
PURPOSE = (
    "animal and view that the network is for, such as a dark mouse from above: shown where "
    "a network is chosen"
)
"""Description of the option `purpose` of programs that write a model folder."""
_PIECE = 1 << 20
"""Bytes of weights that are read at once."""
SIDE = pydantic.Field(ge=16, le=4096)


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class _Skeleton(_Section):
    bodyparts: list[str] = pydantic.Field(min_length=1)
    bones: list[tuple[str, str]] = []


class _Input(_Section):
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
        """Return how frames are fitted to the input size."""
        return Fitting(**self.model_dump(exclude={"colour", "pixels"}))


class _Confidence(_Section):
    slope: float = pydantic.Field(gt=0, le=100)
    shift: float = pydantic.Field(ge=-100, le=100)
    within_px: float = pydantic.Field(gt=0)


class Description(_Section):
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
    def purpose(self) -> str:
        """The animal and the view that it is for; else where it comes from."""
        if own := self.about.get("purpose"):
            return str(own)
        source = self.about.get("imported_from")
        if isinstance(source, Mapping):
            return f"imported from {source.get('folder') or source.get('file')}"
        return f"{self.animals} animals" if self.animals > 1 else "one animal"

    @property
    def licence(self) -> str:
        """Its licence; if it has none, those of the networks that it was made from."""
        if own := self.about.get("licence"):
            return str(own)
        made_from = (self.about.get("started_from"), self.about.get("distilled"))
        named = [made.get("licence") for made in made_from if isinstance(made, Mapping)]
        return "; ".join(dict.fromkeys(str(licence) for licence in named if licence))

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


def load_model_folder(path: Path) -> ModelFolder:
    """Return the model in a folder.

    Raises
    ------
    ModelError
        With file and reason, when a file is missing, damaged or does not match.
    """
    file = path / DESCRIPTION
    try:
        description = Description.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise ModelError(
            f"{path} is not a model folder: it has no {DESCRIPTION}. A network of another "
            f"program is imported first: python utils/ImportModel.py {path} --output "
            "models/NAME"
        ) from None
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise ModelError(f"{file} is damaged: {_first(error)}") from error

    names = description.skeleton.bodyparts
    if len(set(names)) < len(names):
        raise ModelError(f"{file} is damaged: it names a body part twice")
    if len(description.views) == 1 or len(set(description.views)) < len(
        description.views
    ):
        raise ModelError(
            f"{file} is damaged: views: expected two names or more, or none"
        )
    for edge in description.skeleton.bones:
        for name in edge:
            if name not in names:
                raise ModelError(
                    f"{file} is damaged: an edge ends at an unknown body part {name}"
                )
    try:
        decoder = decoder_from_json(description.sections, names)
    except ValueError as error:
        raise ModelError(f"{file} is damaged: {error}") from error

    # With another network the poses would be wrong without an error.
    digest = network_hash(path / NETWORK)
    if digest != description.sha256:
        raise ModelError(
            f"{path / NETWORK} is damaged, or not the network that {DESCRIPTION} "
            f"describes: its sha256 begins with {digest[:8]}, not {description.sha256[:8]}"
        )

    return ModelFolder(
        path=path,
        skeleton=Skeleton(tuple(names), tuple(description.skeleton.bones)),
        fitting=description.input.fitting(),
        decoder=decoder,
        threshold=description.threshold,
        sha256=digest,
        about=description.about,
        frames=description.frames,
        views=tuple(description.views),
        confidence=ConfidenceScale(**description.confidence.model_dump())
        if description.confidence
        else None,
        imported=description.imported,
    )


def save_description(model: ModelFolder) -> None:
    """Write `model.json` beside the network's file."""
    description = {
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
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (model.path / DESCRIPTION).write_text(text, encoding="utf-8")


def _unusual(fitting: Fitting) -> dict[str, object]:
    """Return the settings that differ from those of our own networks."""
    usual = asdict(Fitting(fitting.height, fitting.width))
    return {key: value for key, value in asdict(fitting).items() if value != usual[key]}


def network_hash(file: Path) -> str:
    """Return the sha256 of a network's file; ModelError when it can't be read.

    If an ONNX file keeps weights in other files, they follow with their names.
    """
    try:
        content = file.read_bytes()
        digest = hashlib.sha256(content)
        for name in _files_of_weights(content):
            with open_regular(inside(file.parent, name)) as weights:
                digest.update(
                    f"\0{name}\0{os.fstat(weights.fileno()).st_size}\0".encode()
                )
                while piece := weights.read(_PIECE):
                    digest.update(piece)
    except OSError as error:
        named = "" if error.filename in (None, str(file)) else f", which {file} names,"
        raise ModelError(
            f"{error.filename or file}{named} can't be read: {error.strerror}"
        ) from error
    except DeepLabStreamError as error:
        raise ModelError(f"{file} names weights elsewhere: {error}") from error
    return digest.hexdigest()


def _files_of_weights(content: bytes) -> list[str]:
    """Return the files in which an ONNX file keeps weights; none for other content."""
    if b"location" not in content:  # the key of such a file's name
        return []
    from onnx import load_model_from_string

    try:
        graph = load_model_from_string(content)
    except Exception:  # protobuf's errors: it is not an ONNX file
        return []
    return sorted(set(_locations(graph)))


def _locations(message: Any) -> Iterator[str]:
    """Yield the places of external tensors in all parts of a protobuf message."""
    for field, value in message.ListFields():
        if field.name == "external_data":
            yield from (entry.value for entry in value if entry.key == "location")
        elif field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            for part in parts:
                yield from _locations(part)


def _first(error: pydantic.ValidationError) -> str:
    fault = error.errors()[0]
    place = " → ".join(str(step) for step in fault["loc"])
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`, which gets its name if no error occurs.

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
