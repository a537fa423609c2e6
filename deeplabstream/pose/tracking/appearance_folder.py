"""Appearance folder: a network that embeds crops of animals, and how well it recognises them.

`appearance.json` holds the body axis, the scale of the evidence, and the result of the
cross-validation. `appearance.onnx` takes crops, uint8 (n, height, width, 3), BGR, and gives
embeddings, float32 (n, feature). Both are data: nothing in them is run as a program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pydantic
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.paths import is_folder
from deeplabstream.numerics.share_interval import wilson_interval
from deeplabstream.pose.model.model_folder import network_hash
from deeplabstream.pose.runtimes.onnx_runtime import single_thread_session, unusable
from deeplabstream.pose.tracking.aligned_crops import SIZE

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DESCRIPTION = "appearance.json"
NETWORK = "appearance.onnx"
LEAST_RANK1 = 0.8
"""Rank-1 accuracy of single views below which an appearance is not used."""
LEAST_PRECISION = 0.95
"""Lower end of the 95 % interval of the linking precision below which it is not used: 73 links,
all of them right, reach it."""
LEAST_PAIR = 0.8
"""Rank-1 accuracy between two animals below which they are said to look alike."""

_Share = Annotated[float, pydantic.Field(ge=0, le=1)]
_Count = Annotated[int, pydantic.Field(ge=0)]


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """Rank-1 accuracy between two animals."""

    one: str
    other: str
    rank1: _Share
    """Share of left-out views of the two that are nearer to their own animal."""


@dataclass(frozen=True, slots=True)
class AppearanceScores:
    """Result of the cross-validation by blocks of time."""

    views: _Count
    """Left-out views, one crop each."""
    rank1: _Share
    """Share of them that are nearest to their own animal: the mean over animals, so that one
    that is seen more often does not count more. 0 without views."""
    chance: _Share
    """The same share if each animal were as likely."""
    pieces: _Count
    """Successive left-out views of one animal, as many as the identity tracker averages."""
    links: _Count
    """Pieces with enough evidence to link them to an animal."""
    right: _Count
    """Links to the right one."""
    pairs: tuple[PairAccuracy, ...] = ()

    @property
    def precision(self) -> float:
        """Share of the links that are right; 0 without links."""
        return self.right / self.links if self.links else 0.0

    @property
    def precision_interval(self) -> tuple[float, float]:
        """95 % interval of the linking precision (Wilson score); (0, 1) without links."""
        return wilson_interval(self.right, self.links)

    @property
    def alike(self) -> tuple[PairAccuracy, ...]:
        """Pairs of animals that look alike."""
        return tuple(pair for pair in self.pairs if pair.rank1 < LEAST_PAIR)

    def shortfalls(self) -> list[str]:
        """Return why the appearance must not be used; empty: it may be used."""
        if not self.views:
            return [
                "no animal was recognised in a block of time that was left out: its "
                "identity must be certain in two blocks or more, beside another animal"
            ]
        found = []
        if self.rank1 < LEAST_RANK1:
            found.append(
                f"rank-1 accuracy is {self.rank1:.3f} ({self.chance:.3f} by chance), below "
                f"{LEAST_RANK1}"
            )
        low, _ = self.precision_interval
        if low < LEAST_PRECISION:
            found.append(
                f"linking precision is at least {low:.3f} ({self.right} of {self.links} "
                f"links are right), below {LEAST_PRECISION}"
            )
        return found


class _Description(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    format: int = pydantic.Field(ge=1, le=1)
    axis: list[str] = pydantic.Field(min_length=2, max_length=2)
    features: int = pydantic.Field(ge=1, le=1024)
    scale: float = pydantic.Field(ge=0, le=1e9, allow_inf_nan=False)
    used: bool
    shortfalls: list[str]
    scores: AppearanceScores
    sha256: str
    about: dict[str, pydantic.JsonValue] = {}


@dataclass(frozen=True, slots=True)
class AppearanceFolder:
    """A folder, read and validated."""

    path: Path
    axis: tuple[str, str]
    """Front and rear body part."""
    features: int
    """Length of an embedding."""
    scale: float
    """Factor that makes squared distances of embeddings costs of the identity tracker."""
    scores: AppearanceScores
    sha256: str
    about: Mapping[str, pydantic.JsonValue]
    """How it was made. For information only."""

    @property
    def network(self) -> Path:
        """The network's file."""
        return self.path / NETWORK


def save_appearance(folder: AppearanceFolder) -> None:
    """Write `appearance.json` beside the network's file."""
    scores = folder.scores
    low, high = scores.precision_interval
    shortfalls = scores.shortfalls()
    description = _Description(
        format=1,
        axis=list(folder.axis),
        features=folder.features,
        scale=folder.scale,
        used=not shortfalls,
        shortfalls=shortfalls,
        scores=scores,
        sha256=folder.sha256,
        about={
            **folder.about,
            "linking precision": [scores.precision, low, high],
            "limits": {"rank1": LEAST_RANK1, "precision": LEAST_PRECISION},
        },
    )
    write_json(folder.path / DESCRIPTION, description.model_dump())


def load_appearance_folder(path: Path) -> AppearanceFolder:
    """Return the folder's content; ModelError gives the reason when it can't be used."""
    file = path / DESCRIPTION
    if not is_folder(path) or not file.is_file():
        raise ModelError(
            f"{path} is not a learned appearance: it has no {DESCRIPTION}; "
            "utils/LearnAppearance.py makes one"
        )
    try:
        found = _Description.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"]) or "it"
        raise ModelError(f"{file} is damaged: {place}: {fault['msg']}") from error
    digest = network_hash(path / NETWORK)
    if digest != found.sha256:
        raise ModelError(
            f"{path / NETWORK} is damaged, or not the network that {DESCRIPTION} describes: "
            f"its sha256 begins with {digest[:8]}, not {found.sha256[:8]}"
        )
    axis = (found.axis[0], found.axis[1])
    return AppearanceFolder(
        path, axis, found.features, found.scale, found.scores, digest, found.about
    )


class CropEmbedder:
    """The network of an appearance folder; `open_embedder` makes one."""

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the embeddings (crop, feature) of crops (crop, height, width, 3)."""
        (found,) = self._session.run(None, {self._input: crops})
        return np.asarray(found, np.float64)


def open_embedder(folder: AppearanceFolder) -> CropEmbedder:
    """Load the network and run it once; ModelError when it does not match its folder."""
    session = single_thread_session(folder.network, "recognition of animals")
    try:
        embedder = CropEmbedder(session)
        found = embedder.embed(np.zeros((2, *SIZE, 3), np.uint8))
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise unusable(folder.network, error) from error
    if found.shape != (2, folder.features):
        raise ModelError(
            f"{folder.network} gives embeddings of shape {found.shape}, not "
            f"{(2, folder.features)}"
        )
    return embedder
