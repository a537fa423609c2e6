"""Classifier folder: a behaviour classifier and all files needed to use it.

`classifier.json` describes the features, their time window, and the classes.
`model.onnx` takes features, float32 (n, feature), and gives probabilities, float32 (n,
class). Both are data: nothing in them is run as a program.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import pydantic

from deeplabstream.core.errors import ModelError
from deeplabstream.files.paths import is_folder
from deeplabstream.pose.behaviour.pair_features import ACTOR, TARGET
from deeplabstream.pose.behaviour.pose_features import (
    PARTS,
    Feature,
    FeatureSet,
    Quantity,
    Statistic,
)
from deeplabstream.pose.model.model_folder import network_hash

Document = TypeVar("Document", bound=pydantic.BaseModel)
DESCRIPTION = "classifier.json"
MODEL = "model.onnx"
PAIR = 2
"""Number of animals of features of a pair; format 2 of `classifier.json`."""


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class _Feature(_Section):
    statistic: Statistic
    what: Quantity
    of: list[str] = pydantic.Field(min_length=1, max_length=4)


class _Features(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", strict=True)
    features: list[_Feature] = pydantic.Field(min_length=1)
    window_s: float = pydantic.Field(gt=0, le=60)
    rate: float = pydantic.Field(gt=0, le=1000)
    max_gap_s: float = pydantic.Field(gt=0)
    unit: Literal["px", "mm"]
    animals: Literal[1, 2] = 1
    scale: list[list[str]] = []

    @pydantic.field_validator("features")
    @classmethod
    def _complete(cls, features: list[_Feature]) -> list[_Feature]:
        for feature in features:
            if len(feature.of) != PARTS[feature.what]:
                raise ValueError(
                    f"a {feature.what} is of {PARTS[feature.what]} body parts, "
                    f"not of {', '.join(feature.of)}"
                )
        return features

    @pydantic.model_validator(mode="after")
    def _of_pair(self) -> "_Features":
        parts = [part for feature in self.features for part in feature.of]
        parts += [part for ends in self.scale for part in ends]
        for part in parts if self.animals == PAIR else ():
            if not part.startswith((f"{ACTOR}_", f"{TARGET}_")):
                raise ValueError(
                    f"{part}: features of two animals need {ACTOR}_ or {TARGET}_ before "
                    "the name of each body part"
                )
        if any(len(ends) != 2 for ends in self.scale):
            raise ValueError("scale: each length is between two body parts")
        return self

    def made(self) -> FeatureSet:
        features = [Feature(f.statistic, f.what, tuple(f.of)) for f in self.features]
        return FeatureSet(
            tuple(features),
            self.window_s,
            self.rate,
            self.max_gap_s,
            self.unit,
            of_pair=self.animals == PAIR,
            scale=tuple((one, other) for one, other in self.scale),
        )


class _Description(_Features):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    format: int = pydantic.Field(ge=1, le=2)
    classes: list[str] = pydantic.Field(min_length=2)
    sha256: str
    about: dict[str, pydantic.JsonValue] = {}


@dataclass(frozen=True, slots=True)
class ClassifierFolder:
    """A folder, read and validated."""

    path: Path
    classes: tuple[str, ...]
    """Classes in the model's order; those with an empty name are not used."""
    features: FeatureSet
    sha256: str
    about: Mapping[str, object]
    """How it was made. For information only."""

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.path / MODEL

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The classes that have a name."""
        return tuple(name for name in self.classes if name)


def load_classifier_folder(path: Path) -> ClassifierFolder:
    """Return the folder's content; ModelError gives the reason when it can't be used."""
    file = path / DESCRIPTION
    if not is_folder(path) or not file.is_file():
        raise ModelError(
            f"{path} is not a classifier: it has no {DESCRIPTION}; utils/TrainClassifier.py "
            "and utils/ConvertClassifier.py make one"
        )
    description = _read(file, _Description)
    names = [name for name in description.classes if name]
    if not names or len(set(names)) < len(names):
        raise ModelError(f"{file} is damaged: it names no class, or one twice")
    digest = network_hash(path / MODEL)
    if digest != description.sha256:
        raise ModelError(
            f"{path / MODEL} is damaged, or not the model that {DESCRIPTION} describes: "
            f"its sha256 begins with {digest[:8]}, not {description.sha256[:8]}"
        )
    return ClassifierFolder(
        path=path,
        classes=tuple(description.classes),
        features=description.made(),
        sha256=digest,
        about=description.about,
    )


def save_classifier(folder: ClassifierFolder) -> None:
    """Write `classifier.json` beside the model's file."""
    description = {
        "format": 2 if folder.features.of_pair else 1,
        "classes": list(folder.classes),
        **_sections(folder.features),
        "sha256": folder.sha256,
        "about": dict(folder.about),
    }
    _write(folder.path / DESCRIPTION, description)


def read_features(file: Path) -> FeatureSet:
    """Return the features in a file of `save_features`, or in a classifier.json."""
    if not file.is_file():
        raise ModelError(f"there is no file {file}")
    return _read(file, _Features).made()


def save_features(features: FeatureSet, file: Path) -> None:
    """Write a set of features, for a classifier that is trained elsewhere."""
    _write(file, _sections(features))


def _sections(features: FeatureSet) -> dict[str, object]:
    # earlier versions refuse these keys: they only read classifiers of one animal
    scale = [list(ends) for ends in features.scale]
    pair = {"animals": PAIR, "scale": scale} if features.of_pair else {}
    return {
        "features": [
            {
                "statistic": feature.statistic,
                "what": feature.what,
                "of": list(feature.of),
            }
            for feature in features.features
        ],
        "window_s": float(features.window_s),
        "rate": float(features.rate),
        "max_gap_s": float(features.max_gap_s),
        "unit": features.unit,
        **pair,
    }


def _write(file: Path, description: dict[str, object]) -> None:
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8")


def _read(file: Path, kind: type[Document]) -> Document:
    try:
        return kind.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"]) or "it"
        raise ModelError(f"{file} is damaged: {place}: {fault['msg']}") from error
