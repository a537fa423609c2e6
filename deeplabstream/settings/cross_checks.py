"""Cross-checks: agreement of the sections of a rig, its cameras and its network."""

from collections.abc import Iterator, Mapping
from itertools import islice

from deeplabstream.core.pose import Skeleton
from deeplabstream.plugins.camera import SynchronisedCamera
from deeplabstream.plugins.input import PulseInput, TagInput
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.pair_trigger import DirectedPairs
from deeplabstream.plugins.space_trigger import SpaceTrigger
from deeplabstream.plugins.trigger import BodyPartTrigger, Trigger
from deeplabstream.settings.animals import (
    MOST,
    Animals,
    animal_name_problems,
    animal_number,
)
from deeplabstream.settings.arena_geometry import overlaps
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import guess

MOST_NAMED = 10
"""Overlapping arenas that are listed."""


def unit_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each calibration that is invalid or missing."""
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


def synchronisation_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each camera that would wait for pulses without a source."""
    followers = {
        name: camera
        for name, camera in rig.cameras.items()
        if isinstance(camera, SynchronisedCamera) and camera.leader is not None
    }
    for name, camera in followers.items():
        title = f"[Camera {name}] LEADER = {camera.leader}"
        leader = rig.cameras.get(camera.leader or "")
        if leader is None:
            if not rig.streaming.multiple_devices:
                yield f"{title}: is off by [Streaming] MULTIPLE_DEVICES = no"
        elif leader is camera:
            yield f"{title}: a camera cannot follow its own pulses"
        elif not (isinstance(leader, SynchronisedCamera) and leader.leads):
            yield (
                f"{title}: that camera gives no pulses, so this one would wait without "
                f"end. Set LEADS = yes in [Camera {camera.leader}], or choose another"
            )
        elif _in_circle(name, followers):
            yield f"{title}: the cameras follow each other, so none gives the first pulse"
        elif camera.rate and leader.rate and camera.rate != leader.rate:
            yield (
                f"[Camera {name}] RATE = {camera.rate:g}: its LEADER {camera.leader} gives "
                f"{leader.rate:g} pulses per second. Enter the same RATE in both"
            )


def retention_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence if recording would stop before old videos are deleted."""
    free_mb, stop_mb = 1000 * rig.retention.free_gb, rig.recording.min_free_mb
    if 0 < free_mb <= stop_mb:
        yield (
            f"[Retention] FREE_GB = {rig.retention.free_gb:g}: recording stops before, at "
            f"[Recording] MIN_FREE_MB = {stop_mb:g}; enter more"
        )


def pulse_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each pulse input that does not match the cameras."""
    triggered: dict[str, str] = {}
    for name, device in rig.inputs.items():
        if not isinstance(device, PulseInput):
            continue
        cameras = rig.cameras_of_pulses(device)
        missing = [absent for absent in device.cameras if absent not in rig.cameras]
        if rig.streaming.multiple_devices:
            for absent in missing:
                hint = guess(absent, rig.cameras)
                yield f"[Input {name}] CAMERAS: there is no [Camera {absent}]{hint}"
        if not device.generates:
            if not cameras and not missing:
                yield f"[Input {name}] CAMERAS: enter the camera whose pulses are counted"
            continue
        if not cameras and not missing:
            yield (
                f"[Input {name}] CAMERAS: no camera waits for the pulses; set TRIGGER = line "
                "in its section"
            )
        for camera in cameras:
            yield from _trigger_problems(rig, f"[Input {name}]", device, camera)
            if camera in triggered:
                yield (
                    f"[Input {name}] CAMERAS: [Camera {camera}] has the pulses of "
                    f"[Input {triggered[camera]}] already"
                )
            triggered[camera] = name


def _trigger_problems(
    rig: Settings, title: str, device: PulseInput, name: str
) -> Iterator[str]:
    camera, rate = rig.cameras[name], getattr(device, "rate", None)
    kind = type(camera).__name__
    if not isinstance(camera, SynchronisedCamera):
        yield (
            f"{title} CAMERAS: [Camera {name}] with KIND = {kind} has no trigger input, so "
            "it cannot follow pulses; leave it out"
        )
    elif camera.trigger != "line":
        yield (
            f"{title} CAMERAS: [Camera {name}] has TRIGGER = {camera.trigger}, so it does "
            "not wait for the pulses; set TRIGGER = line"
        )
    elif (
        camera.rate and rate and camera.rate != rate and not _runs_faster(camera, rate)
    ):
        yield (
            f"[Camera {name}] RATE = {camera.rate:g}: {title} gives {rate:g} pulses per "
            "second. Enter the same RATE in both"
        )


def _runs_faster(camera: SynchronisedCamera, rate: float) -> bool:
    """Return whether a camera's rate must be, and is, above that of the pulses."""
    return camera.rate_above_pulses and (camera.rate or 0) > rate


def _in_circle(name: str, followers: Mapping[str, SynchronisedCamera]) -> bool:
    """Return whether the leaders of a camera form a cycle."""
    place = followers[name].leader
    for _ in followers:
        if place is None or place == name:
            break
        place = followers[place].leader if place in followers else None
    return place == name


def dose_problems(outputs: Mapping[str, Output]) -> Iterator[str]:
    """Yield a sentence for each limit of a volume without a flow."""
    for name, output in outputs.items():
        for limit in output.declared_limits:
            if not limit.per_second:
                yield (
                    f"[Output {name}] {limit.key}: needs UL_PER_S, the volume that the output "
                    "gives per second"
                )


def measure_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each measure that can't be computed."""
    if not rig.cameras:
        return
    triggers, camera = rig.new_triggers(), rig.deciding_camera
    limits = rig.measures.start_speed, rig.measures.stop_speed
    for name, trigger in triggers.items():
        if trigger.needs_mobility and None in limits and not _has_scale(rig, camera):
            yield (
                f"[Trigger {name}] MEASURE: immobility in px needs START_SPEED and "
                f"STOP_SPEED in [Measures], or MM_PER_PIXEL or MARKS in [Camera {camera}]"
            )
        if trigger.needs_contacts and rig.measures.contact_distance is None:
            yield f"[Trigger {name}] MEASURE: needs CONTACT_DISTANCE in [Measures]"
        for key, word in trigger.measured_regions.items():
            other = triggers.get(word)
            reference = f"[Trigger {name}] {key} = {word}: [Trigger {word}]"
            if other is not None and not hasattr(other, "region"):
                yield f"{reference} has no REGION; enter a trigger that has one"
            elif other is not None and rig.camera_of(other) != camera:
                yield (
                    f"{reference} looks at [Camera {rig.camera_of(other)}]; measures are of the "
                    f"deciding camera, {camera}"
                )


def shelter_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each shelter that is not a region in an analysed camera."""
    triggers = rig.new_triggers()
    for name in rig.animals.shelters:
        reference = f"[Animals] SHELTERS = {name}"
        if name not in triggers:
            yield f"{reference}: no section [Trigger {name}]{guess(name, triggers)}"
        elif not hasattr(triggers[name], "region"):
            yield (
                f"{reference}: [Trigger {name}] has no REGION; enter a trigger that has one"
            )


def tag_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each reader or tag that can't name an animal."""
    animals, triggers = rig.animals, rig.new_triggers()
    placed = {
        name: device.at
        for name, device in rig.inputs.items()
        if isinstance(device, TagInput) and device.at
    }
    for name, at in placed.items():
        if at not in triggers:
            yield (
                f"[Input {name}] AT = {at}: no section [Trigger {at}]{guess(at, triggers)}"
            )
        elif not hasattr(triggers[at], "region"):
            yield (
                f"[Input {name}] AT = {at}: [Trigger {at}] has no REGION; enter a trigger that "
                "has one"
            )
        if not animals.tags:
            yield f"[Input {name}] AT = {at}: no tag has a name; set [Animals] TAGS"

    if animals.first == "tags":
        if not placed:
            yield (
                "[Animals] FIRST = tags: no [Input NAME] has a place; set AT of an RfidReader"
            )
        tagged = {
            animal_number(word, animals.names)
            for word in animals.animal_of_tag.values()
        }
        untagged = [
            name for number, name in enumerate(animals.names, 1) if number not in tagged
        ]
        if len(untagged) > 1:
            yield (
                f"[Animals] FIRST = tags: {', '.join(untagged)} have no tag, so they "
                "are never told apart; add them to TAGS"
            )


def remember_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each thing that REMEMBER of [Animals] lacks."""
    if not rig.animals.remember:
        return
    if rig.subject.progress_folder is None:
        yield (
            "[Animals] REMEMBER: the animals' files need a folder; set PROGRESS_FOLDER in "
            "[Session]"
        )
    if len(rig.animals.names) < 2:
        yield "[Animals] REMEMBER: needs the names of two animals or more; set NAMES"
    for camera in rig.triggers_by_camera():
        if "," in camera:
            yield (
                f"[Animals] REMEMBER: the name of [Camera {camera}] must not have a comma; "
                "rename it"
            )


def arena_animal_problems(animals: Animals) -> Iterator[str]:
    """Yield a sentence for each key of [Animals] that animals in arenas can't have."""
    if animals.names:
        yield (
            "[Animals] NAMES: an animal in an arena has the arena's name; remove NAMES, or "
            "the arenas"
        )
    if animals.shelters:
        yield "[Animals] SHELTERS: animals in arenas are never confused; remove SHELTERS"
    if animals.remember:
        yield "[Animals] REMEMBER: animals in arenas are never confused; remove REMEMBER"


def arena_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit the arenas."""
    if not rig.arenas:
        return
    for one, other in islice(overlaps(rig.arenas), MOST_NAMED):
        yield f"[Arenas]: {one} and {other} overlap; each animal needs an arena of its own"
    for name, camera in rig.cameras.items():
        if camera.analyse and name != rig.deciding_camera:
            yield (
                f"[Camera {name}]: the arenas are in the image of [Camera "
                f"{rig.deciding_camera}]; set ANALYSE = no for other cameras"
            )
    if rig.pose.live_crop:
        yield "[Pose Estimation] LIVE_CROP: the arenas are the crops; set LIVE_CROP = no"
    used = [it for it in rig.experiments_in_use if it in rig.experiments]
    keeps = any(rig.experiments[name].kind.progress for name in used)
    if rig.subject.progress_folder is not None and keeps:
        yield (
            "[Session] PROGRESS_FOLDER: the progress of animals in arenas is not kept; "
            "remove it, or the arenas"
        )
    for name, trigger in rig.new_triggers().items():
        # pairs of `DirectedPairs` may be neighbours that see each other
        if isinstance(trigger, DirectedPairs):
            continue
        for word in trigger.named_animals.get("TARGET", ()):
            yield (
                f"[Trigger {name}] TARGET = {word}: animals in arenas never meet; remove "
                "the trigger"
            )


def _has_scale(rig: Settings, camera: str) -> bool:
    """Return whether a camera has a calibration, even a wrong one."""
    try:
        return camera not in rig.cameras or rig.cameras[camera].calibration is not None
    except ValueError:
        return True


def animal_problems(rig: Settings, count: int = MOST) -> list[str]:
    """Return the settings that name missing animals; `count`: the largest number of animals."""
    count = len(rig.arenas) or count
    triggers = rig.new_triggers()
    named = [
        (f"[Trigger {name}] {key}", word)
        for name, trigger in triggers.items()
        for key, names in trigger.named_animals.items()
        for word in names
    ]
    named += [
        (f"[Classifier {name}] ANIMAL", section.animal)
        for name, section in rig.classifiers.items()
    ]
    named += [("[Animals] TAGS", name) for name in rig.animals.animal_of_tag.values()]
    return [
        *animal_name_problems(named, rig.animals.names, count),
        *_self_problems(rig, triggers),
    ]


def _self_problems(rig: Settings, triggers: Mapping[str, Trigger]) -> Iterator[str]:
    """Yield a sentence for each pair of an animal and itself, such as its name and number."""
    for name, trigger in triggers.items():
        if not isinstance(trigger, DirectedPairs):
            continue
        actor, target = trigger.actor, trigger.target
        number = animal_number(actor, rig.animals.names)
        if number is not None and number == animal_number(target, rig.animals.names):
            yield (
                f"[Trigger {name}] TARGET = {target}: is the same animal as ACTOR = {actor}; "
                "enter another animal, any or all"
            )


def check_against(rig: Settings, skeleton: Skeleton) -> list[str]:
    """Return a sentence for each mismatch with the network's body parts and animals."""
    named = [
        (f"[Trigger {name}] {key}", part)
        for name, trigger in rig.new_triggers().items()
        if isinstance(trigger, BodyPartTrigger | SpaceTrigger)
        for key, parts in trigger.named_bodyparts.items()
        for part in parts
    ] + [
        (f"[{f'Tracking {name}'.strip()}] BONES", part)
        for name, rules in rig.tracking.items()
        for bone in rules.bones
        for part in (bone.one, bone.other)
    ]
    measures = rig.measures
    named += [
        (f"[Measures] {key}", part)
        for key, parts in (
            ("POSITION", measures.position),
            ("CONTACT_BODYPARTS", measures.contact_bodyparts),
            ("CONTACT_TARGET_BODYPARTS", measures.contact_target_bodyparts),
        )
        for part in parts
    ]
    return [
        f"{key}: the network has no body part {part!r}{guess(part, skeleton.bodyparts)}"
        for key, part in named
        if part not in skeleton.bodyparts
    ] + [*animal_problems(rig, skeleton.count), *_several_in_space(rig, skeleton)]


def _several_in_space(rig: Settings, skeleton: Skeleton) -> Iterator[str]:
    if rig.space.calibration is not None and skeleton.count > 1:
        yield (
            f"[Space]: points in space are of one animal, and the network finds "
            f"{skeleton.count}; choose another network, or remove [Space]"
        )


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
