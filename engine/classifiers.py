"""The classifiers that the settings name, read, and fit for network and triggers."""

from collections.abc import Iterator
from pathlib import Path

from core.errors import ModelError, SettingsError
from core.pose import Skeleton
from engine.sections import Settings
from engine.sentences import guess
from experiments.behaviour import Behaviour
from pose.classifier import Classifier, open_classifier
from pose.classifier_folder import ClassifierFolder, load_classifier_folder
from pose.opening import MODELS


def open_classifiers(rig: Settings, skeleton: Skeleton) -> dict[str, list[Classifier]]:
    """Return the classifiers that look at each camera.

    ModelError or SettingsError say what does not fit.
    """
    folders, problems = read_classifiers(rig)
    problems += classifier_problems(rig, folders, skeleton)
    if problems:
        raise SettingsError(problems)
    opened: dict[str, list[Classifier]] = {}
    for name, folder in folders.items():
        camera = rig.camera_of(rig.classifiers[name])
        classifier = open_classifier(folder, rig.classifiers[name].animal)
        opened.setdefault(camera, []).append(classifier)
    return opened


def read_classifiers(
    rig: Settings,
) -> tuple[dict[str, ClassifierFolder], list[str]]:
    """Return the folders that could be read, and what is wrong with the others."""
    folders: dict[str, ClassifierFolder] = {}
    problems = []
    for name, section in rig.classifiers.items():
        try:
            folders[name] = load_classifier_folder(_place(rig, section.folder))
        except ModelError as error:
            problems.append(f"[Classifier {name}] FOLDER: {error}")
    return folders, problems


def _place(rig: Settings, path: Path) -> Path:
    """Return the folder that is meant: that one, or one of its name under models/."""
    places = (path, rig.folder / "models" / path.name, MODELS / path.name)
    return next((place for place in places if place.is_dir()), path)


def classifier_problems(
    rig: Settings, folders: dict[str, ClassifierFolder], skeleton: Skeleton | None
) -> list[str]:
    """Return what does not fit, as sentences; `skeleton` is the network's."""
    known: dict[str, str] = {}
    problems = []
    for name, folder in folders.items():
        title, features = f"[Classifier {name}]", folder.features
        camera = rig.camera_of(rig.classifiers[name])
        if features.unit == "mm" and camera not in rig.calibrations:
            problems.append(
                f"{title} wants millimetres: [Camera {camera}] has no MM_PER_PIXEL and no "
                "MARKS"
            )
        for part in features.bodyparts if skeleton else ():
            if skeleton and part not in skeleton.bodyparts:
                problems.append(
                    f"{title}: the network does not know {part!r}"
                    f"{guess(part, skeleton.bodyparts)}"
                )
        for behaviour in folder.behaviours:
            if behaviour in known:
                problems.append(
                    f"{title} and [Classifier {known[behaviour]}] both know "
                    f"{behaviour!r}: rename it in one classifier.json"
                )
            known[behaviour] = name
    return [*problems, *_unknown(rig, list(known))]


def _unknown(rig: Settings, known: list[str]) -> Iterator[str]:
    """Yield a sentence for each trigger that asks for a behaviour that nobody knows."""
    for name, trigger in rig.new_triggers().items():
        if isinstance(trigger, Behaviour) and trigger.behaviour not in known:
            yield (
                f"[Trigger {name}] BEHAVIOUR = {trigger.behaviour}: no [Classifier NAME] "
                f"knows it{guess(trigger.behaviour, known)}"
            )
