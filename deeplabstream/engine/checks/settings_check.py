"""Settings check: agreement of a rig with its networks, classifiers and packages."""

from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from deeplabstream.core.errors import (
    DeviceError,
    ModelError,
    SettingsError,
    package_missing,
)
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.behaviour_classifiers import (
    classifier_problems,
    read_classifiers,
)
from deeplabstream.engine.learned_appearance import (
    appearance_problems,
    read_appearance,
)
from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    NETWORK,
    ModelFolder,
    load_model_folder,
)
from deeplabstream.pose.model.model_opening import NO_MODEL, find_model, is_built_in
from deeplabstream.settings.cross_checks import check_against
from deeplabstream.settings.loading import load
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.space_checks import space_cameras
from deeplabstream.video.decoding import stated_length

_INFRARED = "[Pose Estimation] INFRARED_MODEL"


def settings_problems(file: Path) -> list[str]:
    """Return the problems of a settings file and of the networks that it names."""
    try:
        rig = load(file)
    except SettingsError as error:
        return list(error.problems)
    return rig_problems(rig)


def rig_problems(rig: Settings) -> list[str]:
    """Return the problems of the files and packages that a rig names, as sentences."""
    missing = [
        f"[Output {name}] {package_missing(package)}"
        for name, output in rig.outputs.items()
        for package in dict.fromkeys(p.partition(".")[0] for p in output.packages)
        if find_spec(package) is None
    ]
    folders, problems = read_classifiers(rig)
    appearance, unreadable = read_appearance(rig)
    problems = missing + problems + unreadable + _video_problems(rig)
    if not rig.model or is_built_in(rig.model):
        if not rig.model:
            problems.append(f"{NO_MODEL} (models/README.md)")
        found: Skeleton | None = None
        if rig.model == BACKGROUND:
            found = replace(rig.background.skeleton, animals=rig.animals.names)
            problems += check_against(rig, found)
        problems += appearance_problems(appearance, found)
        return problems + classifier_problems(rig, folders, None)
    named = {"[Pose Estimation] MODEL": rig.pose.model}
    if rig.pose.live_crop and rig.pose.detector:
        named["[Pose Estimation] DETECTOR"] = rig.pose.detector
    infrared = rig.pose.infrared_model
    if infrared and not is_built_in(infrared):
        named[_INFRARED] = infrared
    for name, camera in rig.cameras.items():
        if camera.analyse and camera.model and not is_built_in(camera.model):
            named[f"[Camera {name}] MODEL"] = camera.model
    skeletons: dict[str, Skeleton] = {}
    for place, model in named.items():
        try:
            networks = _networks(find_model(rig.model_named(model)))
            skeletons[place] = networks[0].skeleton
            problems += [
                f"{place} = {model}: {network.outdated}"
                for network in networks
                if network.outdated
            ]
        except ModelError as error:
            problems.append(f"{place} = {model}: {error}")
    usual = skeletons.get("[Pose Estimation] MODEL")
    if usual is None:
        return problems
    problems += [
        (
            f"{place} = {named[place]}: all networks of a rig need the same body "
            f"parts in the same order: {', '.join(own.bodyparts)}, not "
            f"{', '.join(usual.bodyparts)}"
        )
        for place, own in skeletons.items()
        if place.startswith(("[Camera", _INFRARED)) and own.bodyparts != usual.bodyparts
    ]
    problems += classifier_problems(rig, folders, usual)
    problems += appearance_problems(appearance, usual)
    return problems + check_against(rig, usual)


def _video_problems(rig: Settings) -> list[str]:
    """Return a sentence if repeated videos of the cameras in space drift apart."""
    lengths: dict[str, tuple[float, float]] = {}
    for name in space_cameras(rig):
        camera = rig.cameras.get(name)
        video = camera.repeated_video if camera is not None else None
        if video is not None:
            try:
                lengths[name] = _length(rig.folder / video, *_stamp(rig.folder / video))
            except DeviceError:  # the camera reports it when it is opened
                continue
    if len(lengths) < 2:
        return []
    seconds = [own for own, _ in lengths.values()]
    frame_s = min(own for _, own in lengths.values())
    if max(seconds) - min(seconds) < frame_s / 2:
        return []
    listed = ", ".join(
        f"[Camera {name}] {own:.2f} s" for name, (own, _) in lengths.items()
    )
    return [
        f"[Space]: repeated videos of unequal length drift apart: {listed}. Cut them to one "
        "length, or set REPEAT = no"
    ]


@lru_cache(maxsize=16)
def _length(video: Path, *_stamp: int) -> tuple[float, float]:
    """Return how long a video and its frames last, in s; DeviceError: it is not known."""
    return stated_length(video)


def network_skeleton(model: str) -> Skeleton | None:
    """Return the body parts of a network; None: it has none, or can't be read."""
    try:
        return _networks(find_model(model))[0].skeleton
    except ModelError:
        return None


def _networks(folder: Path) -> list[ModelFolder]:
    """Return the network in a folder, or those of an ensemble, with their detectors."""
    folders = [*(members(folder) or [folder])]
    folders += [
        member / DETECTOR
        for member in folders
        if (member / DETECTOR / DESCRIPTION).is_file()
    ]
    return [
        _read(member, *map(_stamp, (member / DESCRIPTION, member / NETWORK)))
        for member in folders
    ]


def _stamp(file: Path) -> tuple[int, int]:
    """Return modification time and size of a file; zeros: it does not exist."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _read(folder: Path, *_stamps: tuple[int, int]) -> ModelFolder:
    """Read a model folder, cached until it changes, because its checksum is slow."""
    return load_model_folder(folder)
