"""The classifiers that the settings name, read, and fit for network and triggers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from deeplabstream.core.errors import ModelError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import is_folder
from deeplabstream.pose.behaviour.classifier import Classifier, open_classifier
from deeplabstream.pose.behaviour.classifier_folder import (
    ClassifierFolder,
    load_classifier_folder,
)
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import guess
from experiments.triggers.behaviour import Behaviour, of_animal


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
        animal = rig.classifiers[name].animal
        shared = {
            word: of_animal(animal, word)
            for word, owners in _owners(rig, folders).items()
            if len(owners) > 1
        }
        classifier = open_classifier(folder, animal, shared)
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
    return next((place for place in places if is_folder(place)), path)


def classifier_problems(
    rig: Settings, folders: dict[str, ClassifierFolder], skeleton: Skeleton | None
) -> list[str]:
    """Return what does not fit, as sentences; `skeleton` is the network's."""
    known: dict[tuple[str, str], str] = {}
    problems = []
    for name, folder in folders.items():
        title, features = f"[Classifier {name}]", folder.features
        camera = rig.camera_of(rig.classifiers[name])
        if features.unit == "mm" and camera not in rig.calibrations:
            problems.append(
                f"{title} needs millimetres: set MM_PER_PIXEL or MARKS in [Camera {camera}]"
            )
        for part in features.bodyparts if skeleton else ():
            if skeleton and part not in skeleton.bodyparts:
                problems.append(
                    f"{title}: the network has no body part {part!r}"
                    f"{guess(part, skeleton.bodyparts)}"
                )
        animal = rig.classifiers[name].animal
        for behaviour in folder.behaviours:
            if other := known.get((animal, behaviour)):
                problems.append(
                    f"{title} and [Classifier {other}] both detect {behaviour!r} of the "
                    "same animal: rename it in one classifier.json, or set another ANIMAL"
                )
            known[animal, behaviour] = name
    return [*problems, *_unknown(rig, _owners(rig, folders))]


def _owners(
    rig: Settings, folders: Mapping[str, ClassifierFolder]
) -> dict[str, list[str]]:
    """Return for each behaviour the animals for which a classifier detects it."""
    owners: dict[str, list[str]] = {}
    for name, folder in folders.items():
        for behaviour in folder.behaviours:
            owners.setdefault(behaviour, []).append(rig.classifiers[name].animal)
    return owners


def _unknown(rig: Settings, owners: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a message for each trigger whose behaviour no classifier detects."""
    for name, trigger in rig.new_triggers().items():
        if not isinstance(trigger, Behaviour):
            continue
        animals = owners.get(trigger.behaviour)
        if animals is None:
            yield (
                f"[Trigger {name}] BEHAVIOUR = {trigger.behaviour}: no [Classifier NAME] "
                f"detects it{guess(trigger.behaviour, list(owners))}"
            )
        elif not trigger.animal and len(animals) > 1:
            yield (
                f"[Trigger {name}] BEHAVIOUR = {trigger.behaviour}: classifiers of "
                f"{', '.join(animals)} detect it; set ANIMAL"
            )
        elif trigger.animal and trigger.animal not in animals:
            yield (
                f"[Trigger {name}] ANIMAL = {trigger.animal}: the classifier of "
                f"{trigger.behaviour!r} evaluates {', '.join(animals)}"
            )
