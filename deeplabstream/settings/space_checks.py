"""Space checks: agreement of [Space] with its calibration, the cameras and the triggers."""

from collections.abc import Iterator, Mapping

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.core.space_pose import SPACE
from deeplabstream.plugins.space_trigger import SpaceTrigger
from deeplabstream.plugins.trigger import BodyPartTrigger
from deeplabstream.recording.calibration_copy import calibration_of
from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.settings.sections import Settings
from deeplabstream.space.camera_group import CameraGroup


def space_cameras(rig: Settings) -> tuple[str, ...]:
    """Return the names of the cameras of [Space]; none: there are no points in space."""
    if rig.space.calibration is None:
        return ()
    analysed = tuple(name for name, camera in rig.cameras.items() if camera.analyse)
    return rig.space.cameras or analysed


def read_space_cameras(rig: Settings) -> CameraGroup:
    """Read the calibrated cameras of [Space], in the order of `space_cameras`.

    SettingsError: there is no such section, or its calibration can't be used.
    """
    path = rig.space.calibration
    if path is None:
        raise SettingsError(["[Space] CALIBRATION: is missing"])
    try:
        used = calibration_of(path, rig.folder)
        return read_calibration(used).select(space_cameras(rig))
    except (DeepLabStreamError, OSError) as error:
        raise SettingsError([f"[Space] CALIBRATION = {path}: {error}"]) from error


def space_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit points in space."""
    if rig.space.calibration is None:
        yield from _without_space(rig)
        return

    names = space_cameras(rig)
    if SPACE in rig.cameras:
        yield f"[Camera {SPACE}]: the name stands for the pose in space; rename it"
    for name in names:
        camera = rig.cameras.get(name)
        if camera is None:
            yield f"[Space] CAMERAS = {name}: no section [Camera {name}]"
        elif not camera.analyse:
            yield f"[Space] CAMERAS = {name}: [Camera {name}] has ANALYSE = no"
        elif rig.space.match == "pulses" and not camera.exposes_on_pulses:
            yield (
                f"[Space] MATCH = pulses: [Camera {name}] follows no pulses and gives none; set "
                "TRIGGER = line or LEADS = yes there, or MATCH = times"
            )
    if len(set(names)) < max(2, len(names)):
        yield "[Space] CAMERAS: enter two cameras or more, each once"
        return
    if rig.arenas:
        yield "[Space]: arenas are in the image of one camera; remove [Space], or the arenas"
    if len(rig.animals.names) > 1:
        yield (
            "[Space]: points in space are of one animal; remove [Space], or "
            "[Animals] NAMES"
        )

    try:
        group = read_space_cameras(rig)
    except SettingsError as error:
        yield from error.problems
        return
    chosen = {name: getattr(it, "resolution", None) for name, it in rig.cameras.items()}
    yield from size_problems(group, {name: it for name, it in chosen.items() if it})
    for name, trigger in rig.new_triggers().items():
        if trigger.camera == SPACE and isinstance(trigger, BodyPartTrigger):
            yield (
                f"[Trigger {name}] CAMERA = {SPACE}: it evaluates positions in an image; "
                "enter a camera"
            )


def size_problems(
    cameras: CameraGroup, sizes: Mapping[str, tuple[int, int]]
) -> Iterator[str]:
    """Yield a sentence for each camera whose images have another size than calibrated.

    `sizes`: width and height by camera.
    """
    for camera in cameras.cameras:
        height, width = camera.size
        size = sizes.get(camera.name)
        if size is not None and width and tuple(size) != (width, height):
            yield (
                f"[Camera {camera.name}]: its images have {size[0]} × {size[1]} px, and the "
                f"calibration is for {width} × {height}; set that size, or calibrate again"
            )


def lens_problems(rig: Settings, sizes: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Yield a sentence for each camera whose images have another size than its LENS.

    `sizes`: width and height of the recorded images, by camera.
    """
    for name, camera in rig.cameras.items():
        size = sizes.get(name)
        if camera.lens is not None and size and tuple(size) != camera.lens.size:
            width, height = camera.lens.size
            yield (
                f"[Camera {name}]: its images have {size[0]} × {size[1]} px, and its LENS is "
                f"for {width} × {height}; set that size, or calibrate again"
            )


def _without_space(rig: Settings) -> Iterator[str]:
    if SPACE in rig.cameras:  # a camera of an earlier version, under its own name
        return
    reason = "needs points in space; set CALIBRATION in [Space]"
    if rig.experiment.camera == SPACE:
        yield f"[Experiment] CAMERA = {SPACE}: {reason}"
    for name, trigger in rig.new_triggers().items():
        if trigger.camera == SPACE:
            what = "KIND = " + type(trigger).__name__
            if not isinstance(trigger, SpaceTrigger):
                what = f"CAMERA = {SPACE}"
            yield f"[Trigger {name}] {what}: {reason}"
