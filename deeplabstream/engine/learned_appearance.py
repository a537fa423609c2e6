"""Learned appearance of a rig: loading, and checks against network and settings."""

from collections.abc import Callable
from dataclasses import dataclass

from deeplabstream.core.errors import DeepLabStreamError, ModelError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.behaviour_classifiers import model_place
from deeplabstream.pose.tracking.aligned_crops import body_axis
from deeplabstream.pose.tracking.appearance_folder import (
    AppearanceFolder,
    load_appearance_folder,
    open_embedder,
)
from deeplabstream.pose.tracking.embedding_evidence import EmbeddingEvidence
from deeplabstream.settings.sections import Settings

_TITLE = "[Animals] APPEARANCE"


@dataclass(frozen=True, slots=True)
class LearnedAppearance:
    """Evidence of a learned appearance for the identity trackers of a rig."""

    new_evidence: Callable[[], EmbeddingEvidence] | None = None
    """Returns the evidence of one camera; None: brightness and colours alone."""
    remark: str = ""
    """Why the appearance that the settings name is off; empty: it is in use, or none is
    named."""


def open_appearance(rig: Settings, skeleton: Skeleton) -> LearnedAppearance:
    """Return the appearance of a rig; SettingsError: it can't be read, or does not fit."""
    folder, problems = read_appearance(rig)
    problems += appearance_problems(folder, skeleton)
    if problems:
        raise SettingsError(problems)
    if folder is None:
        return LearnedAppearance()
    if shortfalls := folder.scores.shortfalls():
        return LearnedAppearance(remark=f"{_TITLE} is off: {'; '.join(shortfalls)}")

    embedder = open_embedder(folder)
    return LearnedAppearance(lambda: EmbeddingEvidence(folder, embedder, skeleton))


def read_appearance(rig: Settings) -> tuple[AppearanceFolder | None, list[str]]:
    """Return the appearance that a rig names, None: none, and why it can't be read."""
    if rig.animals.appearance is None:
        return None, []
    try:
        place = model_place(rig, rig.animals.appearance)
        return load_appearance_folder(place), []
    except ModelError as error:
        return None, [f"{_TITLE}: {error}"]


def appearance_problems(
    folder: AppearanceFolder | None, skeleton: Skeleton | None
) -> list[str]:
    """Return why an appearance does not fit a network with this skeleton."""
    if folder is None or skeleton is None:
        return []
    try:
        body_axis(skeleton, folder.axis)
    except DeepLabStreamError as error:
        return [f"{_TITLE}: {error}"]
    return []
