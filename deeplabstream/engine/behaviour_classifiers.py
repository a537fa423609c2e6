"""Behaviour classifiers of a rig: loading, and checks against network and triggers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from deeplabstream.core.errors import ModelError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import is_folder
from deeplabstream.plugins.trigger import BehaviourName
from deeplabstream.pose.behaviour.classifier import Classifier, open_classifier
from deeplabstream.pose.behaviour.classifier_folder import (
    ClassifierFolder,
    load_classifier_folder,
)
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import guess


def open_classifiers(rig: Settings, skeleton: Skeleton) -> dict[str, list[Classifier]]:
    """Return the classifiers of each camera.

    SettingsError: a classifier can't be read, or does not fit network or triggers.
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
            behaviour: BehaviourName(behaviour, animal).key
            for behaviour, animals in _animals_of_behaviours(rig, folders).items()
            if len(animals) > 1
        }
        classifier = open_classifier(folder, animal, shared)
        opened.setdefault(camera, []).append(classifier)
    return opened


def read_classifiers(
    rig: Settings,
) -> tuple[dict[str, ClassifierFolder], list[str]]:
    """Return the classifiers that could be read, and the problems of the others."""
    folders: dict[str, ClassifierFolder] = {}
    problems = []
    for name, section in rig.classifiers.items():
        try:
            folders[name] = load_classifier_folder(_place(rig, section.folder))
        except ModelError as error:
            problems.append(f"[Classifier {name}] FOLDER: {error}")
    return folders, problems


def _place(rig: Settings, path: Path) -> Path:
    """Return the folder; if it does not exist, one of its name under models/."""
    places = (path, rig.folder / "models" / path.name, MODELS / path.name)
    return next((place for place in places if is_folder(place)), path)


def classifier_problems(
    rig: Settings, folders: dict[str, ClassifierFolder], skeleton: Skeleton | None
) -> list[str]:
    """Return the problems of classifiers with rig and network; `skeleton` is the network's."""
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
    return [*problems, *_unknown(rig, _animals_of_behaviours(rig, folders))]


def _animals_of_behaviours(
    rig: Settings, folders: Mapping[str, ClassifierFolder]
) -> dict[str, list[str]]:
    """Return for each behaviour the animals for which a classifier detects it."""
    animals: dict[str, list[str]] = {}
    for name, folder in folders.items():
        for behaviour in folder.behaviours:
            animals.setdefault(behaviour, []).append(rig.classifiers[name].animal)
    return animals


def _unknown(rig: Settings, animals_of: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a message for each trigger whose behaviour no classifier detects."""
    for name, trigger in rig.new_triggers().items():
        if trigger.named_behaviour is None:
            continue
        behaviour, animal = trigger.named_behaviour
        animals = animals_of.get(behaviour)
        if animals is None:
            yield (
                f"[Trigger {name}] BEHAVIOUR = {behaviour}: no [Classifier NAME] "
                f"detects it{guess(behaviour, list(animals_of))}"
            )
        elif not animal and len(animals) > 1:
            yield (
                f"[Trigger {name}] BEHAVIOUR = {behaviour}: classifiers of "
                f"{', '.join(animals)} detect it; set ANIMAL"
            )
        elif animal and animal not in animals:
            yield (
                f"[Trigger {name}] ANIMAL = {animal}: the classifier of "
                f"{behaviour!r} evaluates {', '.join(animals)}"
            )
