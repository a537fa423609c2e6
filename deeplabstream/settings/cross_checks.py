"""Cross-checks: agreement of the sections of a rig, its cameras and its network."""

from collections.abc import Iterator

from deeplabstream.core.pose import Skeleton
from deeplabstream.plugins.trigger import BodyPartTrigger
from deeplabstream.settings.animals import MOST, animal_name_problems
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import guess


def unit_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each calibration that can't be, and each that is missing."""
    missing = set()
    for name, camera in rig.cameras.items():
        try:
            if camera.calibration is None:
                missing.add(name)
        except ValueError as error:
            yield f"[Camera {name}] MARKS: {error}"
    for title, cameras in _in_mm(rig).items():
        for name in cameras & missing:
            yield (
                f"[{title}] UNIT = mm: [Camera {name}] has no MM_PER_PIXEL and no MARKS"
            )


def animal_problems(rig: Settings, count: int = MOST) -> list[str]:
    """Return what names animals that are not there; `count`: how many there can be."""
    named = [
        (f"[Trigger {name}] {key}", word)
        for name, trigger in rig.new_triggers().items()
        for key, words in trigger.named_animals.items()
        for word in words
    ]
    named += [
        (f"[Classifier {name}] ANIMAL", section.animal)
        for name, section in rig.classifiers.items()
    ]
    return list(animal_name_problems(named, rig.animals.names, count))


def check_against(rig: Settings, skeleton: Skeleton) -> list[str]:
    """Return what does not fit the network's body parts and animals, as sentences."""
    named = [
        (f"[Trigger {name}] BODYPARTS", part)
        for name, trigger in rig.new_triggers().items()
        if isinstance(trigger, BodyPartTrigger)
        for part in trigger.bodyparts
    ] + [
        (f"[{f'Tracking {name}'.strip()}] BONES", part)
        for name, rules in rig.tracking.items()
        for bone in rules.bones
        for part in (bone.one, bone.other)
    ]
    return [
        f"{key}: the network has no body part {part!r}{guess(part, skeleton.bodyparts)}"
        for key, part in named
        if part not in skeleton.bodyparts
    ] + animal_problems(rig, skeleton.count)


def _in_mm(rig: Settings) -> dict[str, set[str]]:
    """Return the sections with UNIT = mm, and the cameras that each needs."""
    sections = {
        f"Trigger {name}": {rig.camera_of(trigger)}
        for name, trigger in rig.new_triggers().items()
        if isinstance(trigger, BodyPartTrigger) and trigger.unit == "mm"
    }
    analysed = {name for name, camera in rig.cameras.items() if camera.analyse}
    for name, rules in rig.tracking.items():
        if rules.unit == "mm" and rules.active:
            title = f"Tracking {name}" if name else "Tracking"
            sections[title] = {name} if name else analysed - rig.tracking.keys()
    return sections
