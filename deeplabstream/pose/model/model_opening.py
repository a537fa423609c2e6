"""Opening of a network by the name in the settings."""

from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.files.paths import ROOT, is_file, is_folder
from deeplabstream.files.rig_folder import model_places
from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.pose.ensemble import NetworkEnsemble, members
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.filters.animal_crops import EVERY, AnimalCrops
from deeplabstream.pose.filters.live_crop import BOX, MARGIN, LiveCrop
from deeplabstream.pose.led_detector import split_model
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    ModelFolder,
    load_model_folder,
)
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.placeholder_network import PlaceholderNetwork
from deeplabstream.pose.runtimes.gpu_use import note_gpu_use
from deeplabstream.pose.runtimes.runtime_list import check_runtime, load_network
from deeplabstream.pose.runtimes.runtime_selection import open_fastest
from deeplabstream.pose.tracking.named_estimator import animals_of

MODELS = ROOT / "models"
"""Folder of the networks that come with the application."""
NO_MODEL = (
    "[Pose Estimation] MODEL is empty: name a model folder there, made by "
    "utils/ImportModel.py from a network of DeepLabCut, SLEAP or Lightning Pose"
)
TOLERANCE_PX = 0.02
"""Largest distance of a pose to the reference's that `auto` accepts, px of the input."""


def open_estimator(
    name: str | Path,
    runtime: str = "auto",
    threads: int = 0,
    tolerance_px: float = TOLERANCE_PX,
) -> PoseEstimator:
    """Return the estimator of a network, loaded and warmed up.

    A model folder that contains `detector/` is a cropzoom network: the detector finds
    the animal, or several, in the whole frame, the network finds the pose in a window. A folder of
    several model folders (`TrainNetwork --seeds`) is an ensemble: the median of their
    points.

    `name` is the path of a model folder, a name in `models/`, or a placeholder:
    `stand-in:10` takes 10 ms per call, `stand-in:10:2` finds two animals. `runtime` is
    one of `deeplabstream.pose.runtimes.runtime_list`, or `auto`: the fastest whose
    poses agree with the reference. ModelError gives the reason when it cannot be
    opened.
    """
    network = str(name).strip()
    if network == BACKGROUND:
        raise ModelError(
            f"MODEL = {BACKGROUND} is for a rig's settings, because it needs the frames "
            "of a camera in their order: python utils/VideoAnalyzer.py analyses a video "
            "with it"
        )
    if is_built_in(network):
        return _stand_in(network)

    folder = find_model(network)
    if several := members(folder):
        networks = [
            open_estimator(member, runtime, threads, tolerance_px) for member in several
        ]
        return NetworkEnsemble(networks, folder)

    model = load_model_folder(folder)
    if model.views:
        raise ModelError(
            f"{model.path} needs the frames of {len(model.views)} cameras of the same "
            f"moment ({', '.join(model.views)}), so it is for whole videos only: python "
            "utils/PredictVideos.py with one video of each. For a rig, use a network of "
            "single frames"
        )
    if model.frames > 1:
        raise ModelError(
            f"{model.path} needs {model.frames} consecutive frames, two of them later "
            "ones, so it is for whole videos only; for a rig and for single images use "
            "the network in the parent folder"
        )

    estimator = opened(model, runtime, threads, tolerance_px)
    detector = model.path / DETECTOR
    if not (detector / DESCRIPTION).is_file():
        return estimator

    # A window on one animal ends when its pose is lost. With several, or with boxes, a
    # window may follow the wrong animal: so the detector also runs at intervals.
    finds = open_estimator(detector, runtime, threads, tolerance_px)
    every = EVERY if finds.skeleton.bodyparts == BOX or animals_of(finds) > 1 else 0
    return open_live_crop(estimator, finds, MARGIN, every)


def is_built_in(name: str | Path) -> bool:
    """Return whether a MODEL needs no folder: a placeholder, or background subtraction."""
    network = str(name).strip()
    return network == BACKGROUND or network.split(":")[0] == "stand-in"


def opened(
    model: ModelFolder,
    runtime: str,
    threads: int,
    tolerance_px: float = TOLERANCE_PX,
) -> NetworkEstimator:
    """Return the estimator of one network, warmed up; see `open_estimator`."""
    if runtime == "auto":
        fastest = open_fastest(model, threads, tolerance_px)
        note_gpu_use(model, fastest, threads, tolerance_px)
        network = fastest.network
    else:
        network = load_network(model, check_runtime(runtime), threads)
    estimator = NetworkEstimator(model, network)
    estimator.warm_up()
    return estimator


def open_live_crop(
    estimator: PoseEstimator, detector: PoseEstimator | None, margin: float, every: int
) -> PoseEstimator:
    """Return an estimator that follows the animal with a window; see `LiveCrop`.

    With a detector of several animals it follows each of them: see `AnimalCrops`.
    """
    if isinstance(estimator, LiveCrop | AnimalCrops):
        return estimator  # it crops already
    if not isinstance(estimator, NetworkEstimator):
        raise ModelError(
            "LIVE_CROP needs a network of a model folder: set LIVE_CROP = no"
        )
    if estimator.model.animals > 1:
        raise ModelError(
            f"LIVE_CROP needs a network of one animal, as each window shows one; "
            f"{estimator.model.path.name} finds {estimator.model.animals}: set "
            "LIVE_CROP = no, or train with --cropzoom"
        )
    if detector is not None and (animals := animals_of(detector)) > 1:
        crops = AnimalCrops(estimator, detector, animals, margin, every)
        crops.warm_up()
        return crops
    if detector is None and not estimator.model.decoder.any_size:
        raise ModelError(
            f"{estimator.model.path.name} gives coordinates, which hold for images of its "
            "own size alone: set LIVE_CROP = no, or name a DETECTOR"
        )
    cropping = LiveCrop(estimator, detector, margin, every)
    cropping.warm_up()
    return cropping


def outdated(name: str | Path) -> list[str]:
    """Return one sentence for each network of a folder that must be imported again."""
    network = split_model(str(name).strip())[1]
    if not network or is_built_in(network):
        return []
    folder = find_model(network)
    folders = [*(members(folder) or [folder])]
    folders += [member / DETECTOR for member in folders]
    return [
        remark
        for member in folders
        if (member / DESCRIPTION).is_file()
        and (remark := load_model_folder(member).outdated)
    ]


def find_model(name: str | Path) -> Path:
    """Return the model folder at a path, or with a name in a folder `models/`.

    The rig's own networks come before those of the program.
    """
    places = model_places()
    for folder in (Path(name), *(place / name for place in places)):
        if str(name) and is_folder(folder):
            return folder
    known = f"those in {MODELS.name}/: {', '.join(known_models()) or 'none'}"
    if not str(name):
        raise ModelError(f"{NO_MODEL}, or choose one of {known}")
    if is_file(Path(name)):
        raise ModelError(
            f"{name} is a file, not a model folder. A network of another program is "
            f"imported first: python utils/ImportModel.py {name} --output models/NAME"
        )
    raise ModelError(
        f"there is no model {str(name)!r}; give the path of a model folder, or one of "
        f"{known}"
    )


def known_models() -> list[str]:
    """Return the names of the networks in the folders `models/`."""
    files = (f for place in model_places() for f in place.glob(f"*/{DESCRIPTION}"))
    return sorted({file.parent.name for file in files})


def _stand_in(network: str) -> PlaceholderNetwork:
    _, _, numbers = network.partition(":")
    milliseconds, _, animals = numbers.partition(":")
    try:
        taken_ms, count = float(milliseconds or 0), int(animals or 1)
    except ValueError:
        taken_ms, count = -1.0, 0
    if not (0 <= taken_ms <= 10_000 and 1 <= count <= 8):
        raise ModelError(
            f"{network!r}: expected milliseconds from 0 to 10000, as in stand-in:10, and "
            "perhaps animals from 1 to 8, as in stand-in:10:2"
        )
    return PlaceholderNetwork(taken_ms / 1000, count)


CONTEXT = "context"
"""Sub-folder of a model folder: the network for consecutive images."""


def views_of(name: str | Path) -> tuple[str, ...]:
    """Return the views of a multi-view network; empty for others."""
    if is_built_in(name):
        return ()
    folder = find_model(name)
    whole = (folder / DESCRIPTION).is_file()
    return load_model_folder(folder).views if whole else ()


def open_for_views(
    name: str | Path, runtime: str = "auto", threads: int = 0
) -> PoseEstimator:
    """Return the estimator of a multi-view network; see `ModelFolder.views`."""
    return opened(load_model_folder(find_model(name)), runtime, threads)


def open_for_videos(
    name: str | Path, runtime: str = "auto", threads: int = 0
) -> PoseEstimator:
    """Return the estimator of that name: its context network, if it has one.

    As `open_estimator`; images that are given at once must then follow each other. A
    cropzoom network is for single images: its windows move.
    """
    try:
        folder = find_model(name)
    except ModelError:
        return open_estimator(name, runtime, threads)  # a placeholder network, or none
    own = folder / CONTEXT if (folder / CONTEXT / DESCRIPTION).is_file() else folder
    alone = not (own / DESCRIPTION).is_file() or (folder / DETECTOR).is_dir()
    if alone or (model := load_model_folder(own)).frames == 1:
        return open_estimator(name, runtime, threads)
    return opened(model, runtime, threads)
