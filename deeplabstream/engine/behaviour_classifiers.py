"""Behaviour classifiers of a rig: loading, and checks against network and triggers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from deeplabstream.core.errors import ModelError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import is_folder
from deeplabstream.plugins.pair_trigger import DirectedPairs
from deeplabstream.plugins.trigger import BehaviourName, pair_name
from deeplabstream.pose.behaviour.classifier import (
    Classifier,
    PairClassifier,
    directed_pairs,
    open_model,
)
from deeplabstream.pose.behaviour.classifier_folder import (
    ClassifierFolder,
    load_classifier_folder,
)
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.recording.behaviour_columns import ShownBehaviour
from deeplabstream.recording.run_schema import BEHAVIOUR
from deeplabstream.settings.arena_instances import arena_of
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import guess

_MOST_NAMED = 5
"""Arenas without a classifier that are listed."""
_PAIR = ">"
"""Stands for all pairs where classifiers of one animal have its name."""


def open_classifiers(
    rig: Settings, skeleton: Skeleton
) -> dict[str, list[Classifier | PairClassifier]]:
    """Return the classifiers of each camera.

    SettingsError: a classifier can't be read, or does not fit network or triggers.
    """
    folders, problems = read_classifiers(rig)
    problems += classifier_problems(rig, folders, skeleton)
    if problems:
        raise SettingsError(problems)
    opened: dict[str, list[Classifier | PairClassifier]] = {}
    columns = _columns(rig, folders, skeleton)
    for name, folder in folders.items():
        of_camera = opened.setdefault(rig.camera_of(rig.classifiers[name]), [])
        if not folder.features.of_pair:
            animal = rig.classifiers[name].animal
            own = {shown.behaviour: column for column, shown in columns[name]}
            of_camera.append(Classifier(open_model(folder), animal, own))
            continue
        pairs: dict[tuple[str, str], dict[str, str]] = {}
        for column, shown in columns[name]:
            of_pair = pairs.setdefault((shown.actor, shown.target), {})
            of_pair[shown.behaviour] = column
        of_camera.append(PairClassifier(open_model(folder), pairs))
    return opened


def shown_behaviours(rig: Settings, skeleton: Skeleton) -> dict[str, ShownBehaviour]:
    """Return what each column of behaviours is about, for `run.json`."""
    folders, _ = read_classifiers(rig)
    columns = _columns(rig, folders, skeleton)
    return {column: shown for found in columns.values() for column, shown in found}


_Columns = list[tuple[str, ShownBehaviour]]


def _columns(
    rig: Settings, folders: Mapping[str, ClassifierFolder], skeleton: Skeleton
) -> dict[str, _Columns]:
    """Return, by classifier, its columns and what they are about."""
    animals = skeleton.named(skeleton.count)
    animals_of = _animals_of_behaviours(rig, folders)
    found: dict[str, _Columns] = {}
    for name, folder in folders.items():
        if folder.features.of_pair:
            found[name] = [
                (
                    BehaviourName(behaviour, pair_name(actor, target)).key,
                    ShownBehaviour(behaviour, actor, target),
                )
                for actor, target in directed_pairs(animals)
                for behaviour in folder.behaviours
            ]
            continue
        word = rig.classifiers[name].animal
        place = skeleton.animal(word) if skeleton.count > 1 else None
        actor = animals[place] if place is not None else ""
        found[name] = [
            (
                BehaviourName(behaviour, word * (len(animals_of[behaviour]) > 1)).key,
                ShownBehaviour(behaviour, actor),
            )
            for behaviour in folder.behaviours
        ]
    return found


def read_classifiers(
    rig: Settings,
) -> tuple[dict[str, ClassifierFolder], list[str]]:
    """Return the classifiers that could be read, and the problems of the others."""
    folders: dict[str, ClassifierFolder] = {}
    problems = []
    for name, section in rig.classifiers.items():
        try:
            folders[name] = load_classifier_folder(model_place(rig, section.folder))
        except ModelError as error:
            problems.append(f"[Classifier {name}] FOLDER: {error}")
    return folders, problems


def model_place(rig: Settings, path: Path) -> Path:
    """Return the folder; if it does not exist, one of its name under models/."""
    places = (path, rig.folder / "models" / path.name, MODELS / path.name)
    return next((place for place in places if is_folder(place)), path)


def classifier_problems(
    rig: Settings, folders: dict[str, ClassifierFolder], skeleton: Skeleton | None
) -> list[str]:
    """Return the problems of classifiers with rig and network; `skeleton` is the network's."""
    known: dict[tuple[str, str], str] = {}
    problems = []
    pairs = {n: folder for n, folder in folders.items() if folder.features.of_pair}
    for name, folder in folders.items():
        title, features = f"[Classifier {name}]", folder.features
        camera = rig.camera_of(rig.classifiers[name])
        if features.unit == "mm" and camera not in rig.calibrations:
            problems.append(
                f"{title} needs millimetres: set MM_PER_PIXEL or MARKS in [Camera {camera}]"
            )
        if features.of_pair and skeleton and skeleton.count < 2:
            problems.append(
                f"{title} evaluates pairs, but the network has one animal: use a network of "
                "several animals"
            )
        elif features.of_pair and rig.arenas:
            problems.append(
                f"{title} evaluates pairs, but animals in arenas never meet: remove it"
            )
        for part in features.network_bodyparts if skeleton else ():
            if skeleton and part not in skeleton.bodyparts:
                problems.append(
                    f"{title}: the network has no body part {part!r}"
                    f"{guess(part, skeleton.bodyparts)}"
                )
        animal = _PAIR if features.of_pair else rig.classifiers[name].animal
        for behaviour in folder.behaviours:
            if other := known.get((animal, behaviour)):
                problems.append(
                    f"{title} and [Classifier {other}] both detect {behaviour!r} of the "
                    f"same {'pairs' if features.of_pair else 'animal'}: rename it in one "
                    f"classifier.json{'' if features.of_pair else ', or set another ANIMAL'}"
                )
            known[animal, behaviour] = name
    return [
        *problems,
        *_same_columns(rig, folders, skeleton),
        *_unknown(rig, _animals_of_behaviours(rig, folders)),
        *_unknown_of_pairs(rig, pairs),
    ]


def _same_columns(
    rig: Settings, folders: Mapping[str, ClassifierFolder], skeleton: Skeleton | None
) -> Iterator[str]:
    """Yield a message for each column that two classifiers would fill.

    `c` of the animal `a_b` and `b_c` of the animal `a` have the same column.
    """
    if skeleton is None:
        return
    known: dict[str, tuple[str, ShownBehaviour]] = {}
    for name, columns in _columns(rig, folders, skeleton).items():
        for column, shown in columns:
            other, before = known.setdefault(column, (name, shown))
            if before != shown:
                yield (
                    f"[Classifier {name}] and [Classifier {other}] would both fill the "
                    f"column {BEHAVIOUR.prefix}{column}: rename {shown.behaviour!r} or "
                    f"{before.behaviour!r} in its classifier.json"
                )


def _animals_of_behaviours(
    rig: Settings, folders: Mapping[str, ClassifierFolder]
) -> dict[str, list[str]]:
    """Return for each behaviour the animals for which a classifier detects it."""
    animals: dict[str, list[str]] = {}
    for name, folder in folders.items():
        for behaviour in () if folder.features.of_pair else folder.behaviours:
            animals.setdefault(behaviour, []).append(rig.classifiers[name].animal)
    return animals


def _unknown(rig: Settings, animals_of: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a message for each trigger whose behaviour of one animal no classifier detects.

    A trigger of several arenas has one message.
    """
    missing: dict[tuple[str, str], list[str]] = {}
    for name, trigger in rig.new_triggers().items():
        if trigger.named_behaviour is None or isinstance(trigger, DirectedPairs):
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
        elif animal and animal not in animals and arena_of(name, rig.arenas):
            declared = name.removesuffix(f".{animal}")
            missing.setdefault((declared, behaviour), []).append(animal)
        elif animal and animal not in animals:
            yield (
                f"[Trigger {name}] ANIMAL = {animal}: the classifier of "
                f"{behaviour!r} evaluates {', '.join(animals)}"
            )
    for (name, behaviour), animals in missing.items():
        more = f" and {len(animals) - _MOST_NAMED} more" * (len(animals) > _MOST_NAMED)
        yield (
            f"[Trigger {name}] BEHAVIOUR = {behaviour}: no classifier evaluates the animals of "
            f"{', '.join(animals[:_MOST_NAMED])}{more}; add a [Classifier NAME] for each, such "
            f"as with ANIMAL = {animals[0]}"
        )


def _unknown_of_pairs(
    rig: Settings, folders: Mapping[str, ClassifierFolder]
) -> Iterator[str]:
    """Yield a message for each trigger on pairs whose behaviour no classifier detects."""
    cameras = {
        behaviour: rig.camera_of(rig.classifiers[name])
        for name, folder in folders.items()
        for behaviour in folder.behaviours
    }
    for name, trigger in rig.new_triggers().items():
        if trigger.named_behaviour is None or not isinstance(trigger, DirectedPairs):
            continue
        behaviour = trigger.named_behaviour.behaviour
        title = f"[Trigger {name}] BEHAVIOUR = {behaviour}"
        if behaviour not in cameras:
            yield (
                f"{title}: no [Classifier NAME] of pairs detects it"
                f"{guess(behaviour, list(cameras))}"
            )
        elif rig.camera_of(trigger) != cameras[behaviour]:
            yield (
                f"{title}: its classifier evaluates the camera {cameras[behaviour]}; set "
                f"CAMERA = {cameras[behaviour]} in [Trigger {name}]"
            )
