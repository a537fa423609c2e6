"""Training of a network from labels to its model folder: one call for all programs."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, ModelError, counted
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.overwriting import check_free
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.confidence_calibration import RIGHT_PX
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    ModelFolder,
    load_model_folder,
)
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.training.data.input_size import SIZES, fitting_like, parse_size
from deeplabstream.training.lightning_pose.result_tables import (
    PREDICTIONS,
    copy_to_image_preds,
)

if TYPE_CHECKING:
    from deeplabstream.training.data.animal_targets import Edges
    from deeplabstream.training.evaluation.evaluate import PartError
    from deeplabstream.training.evaluation.second_labels import SecondLabels
    from deeplabstream.training.lightning_pose.project import TestVideos
    from deeplabstream.training.networks.pose_network import Architecture
    from deeplabstream.training.start_network import StartNetwork, TakenOver
    from deeplabstream.training.training_run import Run, TrainingResult

LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "within": (0.5, 1000),
        "held_out": (0, 0.9),
        "sigma": (0.5, 10),
        "rotation": (0, 180),
        "light": (0, 1),
        "moved": (0, 1),
    }
)
"""Smallest and largest value of each number in `TrainConfig`."""
CHECKPOINT = "checkpoints/last.ckpt"
"""Of a training that was stopped, in the folder of its network."""
_COUNTS = ("steps", "channels")
_FROM_0 = ("batch", "animals", "devices", "threads", "workers")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train on, how, and where the network goes.

    Give either `data` or `config`.

    Attributes
    ----------
    output : pathlib.Path
        The folder to write.
    data : pathlib.Path, optional
        Labelled frames: a folder with `CollectedData.csv`, that file, a DeepLabCut
        project or a part of it, or SLEAP's labels (`.slp`).
    config : pathlib.Path, optional
        A Lightning Pose configuration (`.yaml`). It says what the attributes from `size` on
        say.
    overrides : sequence of str
        `KEY=VALUE` for the configuration.
    cropzoom : bool
        Train a second network that looks closely at what the first finds.
    seeds : tuple of int
        Train an ensemble: one network for each seed, two at least.
    within : float
        Pixels of the labelled images within which a point counts as right.
    start_from : str or pathlib.Path, optional
        Network to start from: a model folder, or a name in `models/`. Its backbone is
        taken over, and the maps of body parts with the same names.
    resume : bool
        Continue a training that was stopped.
    overwrite : bool
        Replace a network in `output`.
    device : str
        `cpu`, `cuda`, or `cuda:1` for the second GPU.
    devices : int
        Number of devices, from `device` on; each has its own process. 0: as the
        configuration says (`training.num_gpus`), else 1.
    precision : {"auto", "full", "mixed"}
        `mixed`: 16 bits where they do; `auto`: where that is faster.
    workers : int
        Threads that prepare batches. 0: as the configuration says (`num_workers`), else
        1.
    threads : int
        Threads of the CPU; 0: one per core.
    licence : str
        Licence of the network, for `model.json`.
    command : str
        The command that was used, for `model.json`.
    progress : {"bar", "json", "none"}
        How progress is shown: a bar, lines of JSON, or not.
    size : str or Fitting
        Input of the network: `small`, `usual`, `fine`, or `WIDTHxHEIGHT` in pixels, both
        multiples of 16.
    steps : int
        Batches to train on.
    batch : int
        Images per step; 0: as many as fit.
    seed : int
        Seed of all random numbers.
    held_out : float
        Share of the images that is kept back for the errors.
    backbone : str, optional
        `efficientnet_lite0`, `resnet18`, `unet` and others; see docs/training.md. None:
        that of `start_from`, else `efficientnet_lite0`.
    kind : {"heatmap", "regression", "context"}
        Kind of network.
    stages : int, optional
        4 or 5 stages of the backbone; 4: smaller and faster. None: as in `start_from`,
        else 5.
    channels : int, optional
        Channels of the head. None: as in `start_from`, else 32.
    sigma : float, optional
        Width of a point's heat map, in cells of 4 pixels. None: as in `start_from`, else
        1.25.
    rotation : float, optional
        Images are turned by up to this many degrees; None: as the labelled poses are.
    mirror : bool, optional
        Mirror half of the images; None: where labelled poses look alike then.
    light : float
        Strength of the strength of brightness changes, 0 to 1.
    moved : float
        Share of images whose animal is put elsewhere in the frame, 0 to 1.
    edges : sequence of str
        `A:B`: lines to draw between body parts.
    animals : int
        Most animals in an image; 0: as many as the labels have.
    imagenet : bool
        Start from ImageNet's weights, otherwise from random ones.

    Raises
    ------
    ModelError
        A value is not possible; the sentence names it.
    """

    output: Path
    data: Path | None = None
    config: Path | None = None
    overrides: Sequence[str] = ()
    cropzoom: bool = False
    seeds: tuple[int, ...] = ()
    within: float = RIGHT_PX
    start_from: str | Path | None = None
    resume: bool = False
    overwrite: bool = False
    device: str = "cpu"
    devices: int = 0
    precision: Literal["auto", "full", "mixed"] = "auto"
    workers: int = 0
    threads: int = 0
    licence: str = ""
    command: str = ""
    progress: Literal["bar", "json", "none"] = "bar"
    size: Fitting | str = "usual"
    steps: int = 1500
    batch: int = 8
    seed: int = 0
    held_out: float = 0.15
    backbone: str | None = None
    kind: Literal["heatmap", "regression", "context"] = "heatmap"
    stages: int | None = None
    channels: int | None = None
    sigma: float | None = None
    rotation: float | None = None
    mirror: bool | None = None
    light: float = 1.0
    moved: float = 0.0
    edges: Sequence[str] = ()
    animals: int = 0
    imagenet: bool = True

    def __post_init__(self) -> None:
        for name in ("output", "data", "config"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value))
        if isinstance(self.size, str):
            object.__setattr__(self, "size", parse_size(self.size))
        if (self.config is None) == (self.data is None):
            raise ModelError("give either --data or a Lightning Pose configuration")
        programs = ROOT / "outputs"
        if programs in (self.output.resolve(), *self.output.resolve().parents):
            raise ModelError(
                f"--output: {programs} contains programs; name another folder"
            )
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ModelError(
                    f"{name} = {value}: expected a number from {low:g} to {high:g}"
                )
        for name in (*_COUNTS, *_FROM_0):
            least = 0 if name in _FROM_0 else 1
            value = getattr(self, name)
            if value is not None and value < least:
                raise ModelError(f"{name} = {value}: expected {least} or more")
        if self.seeds and len(set(self.seeds)) != max(2, len(self.seeds)):
            raise ModelError(f"seeds = {self.seeds}: an ensemble needs two or more")


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes
    ----------
    folder : pathlib.Path
        The network, or the ensemble of networks: `load_model` and `predict` take it.
    networks : tuple of pathlib.Path
        The folder of each network that was trained now.
    errors : tuple of tuple of PartError
        For each of them, by body part: errors in the held-out images, in their pixels.
    test_videos : TestVideos, optional
        Videos that the configuration wants predicted (`eval`).
    """

    folder: Path
    networks: tuple[Path, ...] = ()
    errors: "tuple[tuple[PartError, ...], ...]" = ()
    test_videos: "TestVideos | None" = None

    @property
    def model(self) -> ModelFolder:
        """The model folder; ModelError: it is an ensemble."""
        return load_model_folder(self.folder)


def train(config: TrainConfig, say: Callable[[str], object] = print) -> Trained:
    """Train a network on labelled frames and write it as a model folder.

    Parameters
    ----------
    config : TrainConfig
        What to train on, how, and where the network goes.
    say : callable
        Gets each sentence about the training.

    Returns
    -------
    Trained
        The folder and the errors in the held-out images.

    Raises
    ------
    DeepLabStreamError
        A network is there already, labels or settings are wrong, or memory is too small.
        The message says which.
    OSError
        A file can't be written; without a name of its own it names the output folder.

    Examples
    --------
    >>> config = dls.TrainConfig(data="labels", output="models/mine", steps=500)
    >>> trained = dls.train(config)
    >>> for error in trained.errors[0]:
    ...     print(error.bodypart, error.median_px)
    >>> network = dls.load_model(trained.folder)
    """
    config = _located(config)
    if not config.resume:
        _check_output(config)
    try:
        return _train(config, say)
    except OSError as error:  # of a full disk: Python names no file
        error.filename = error.filename or str(config.output)
        raise
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise DeepLabStreamError("not enough memory; use a smaller batch") from error


def _located(config: TrainConfig) -> TrainConfig:
    """Return it with `data` or `config` given, as the content of the path demands."""
    from deeplabstream.training.data.projects import pose_config_at

    given = config.config or config.data
    if given is None:
        return config
    found = pose_config_at(given, folders=config.config is not None)
    if config.overrides and found is None:
        raise ModelError(
            f"--overrides {' '.join(config.overrides)}: they change a Lightning Pose "
            f"configuration (.yaml), and {given} is none; use the options of TrainNetwork"
        )
    return replace(config, data=None if found else given, config=found)


def _check_output(config: TrainConfig) -> None:
    """Refuse to train over a network, or over a training that was stopped."""
    kept = (DESCRIPTION, CHECKPOINT)
    check_free(
        [folder / name for folder in _folders(config) for name in kept],
        config.overwrite,
        "--overwrite (--resume continues a training that was stopped)",
    )


def _folders(config: TrainConfig) -> list[Path]:
    """Return the output folder, and those of an ensemble's networks."""
    return [config.output, *(config.output / f"seed{seed}" for seed in config.seeds)]


def _remove_earlier(config: TrainConfig, start: Path | None) -> None:
    """Remove what says that the folders hold a network, or a training that was stopped.

    Otherwise a training that is stopped before its first checkpoint would continue from
    the earlier one, or leave the earlier network with the new configuration. A network
    that the training starts from stays.
    """
    inside = start is not None and start.resolve().is_relative_to(
        config.output.resolve()
    )
    names = (CHECKPOINT, PREDICTIONS, *([] if inside else [DESCRIPTION]))
    for folder in _folders(config):
        for own in (folder, folder / DETECTOR, folder / CONTEXT):
            for name in names:
                if start is None or (own / name).resolve() != start.resolve():
                    (own / name).unlink(missing_ok=True)


def _train(config: TrainConfig, say: Callable[[str], object]) -> Trained:
    # Threads that wait by spinning slow each other down where other programs run too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if config.config is not None:
        run = _from_config(config, config.config, say)
    else:
        run = _from_data(config, config.data or config.output, say)
    taken = {run.labels.root, config.config.parent if config.config else None}
    beside = any(each and each.resolve() == config.output.resolve() for each in taken)
    if beside and not config.resume:
        raise DeepLabStreamError(
            f"--output {config.output}: it contains labels or settings, which the "
            "network's files would replace; name another folder"
        )
    import torch

    from deeplabstream.training.data.dataset import fingerprint
    from deeplabstream.training.data.label_checks import (
        suspicious_labels,
        warning_lines,
    )
    from deeplabstream.training.evaluation.held_out_sets import read_others
    from deeplabstream.training.evaluation.second_labels import second_labels

    if not run.views:
        read_others(run.labels)  # what is wrong with them is told before, not after
    if config.threads > 0:
        torch.set_num_threads(config.threads)
    about: dict[str, object] = {
        **run.about,
        "command": config.command,
        "network": _named(run),
        "licence": config.licence,
        "data_sha256": fingerprint(run.labels, run.data.context if run.views else None),
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    second = None if run.views else second_labels(run.labels)
    if second is not None:
        for problem in second.problems:
            say(f"the labels of a second person are not compared: {problem}")
        about["second_labels"] = [asdict(each) for each in second.summary()]
    run = replace(run, about=about, right_px=config.within)
    if not run.views:
        for line in warning_lines(run.labels, suspicious_labels(run.labels)):
            say(line)
    parts = run.parts
    say(
        f"{counted(len(parts.train), 'image')} to train on, "
        f"{len(parts.validation) + len(parts.test)} held out"
    )
    run = _prepared(run, config)
    if not config.seeds:
        errors = _one(run, config.output, config, say, second).errors
        return Trained(config.output, (config.output,), (errors,), run.test_videos)
    trained: dict[Path, tuple[PartError, ...]] = {}
    for seed in config.seeds:
        folder = config.output / f"seed{seed}"
        if config.resume and (folder / PREDICTIONS).is_file():
            say(f"{folder} is already trained")
            continue
        say(f"seed {seed}:")
        own = replace(run, settings=replace(run.settings, seed=seed))
        trained[folder] = _one(own, folder, config, say, second).errors
    say(_ensemble_sentence(config))
    return Trained(
        config.output, tuple(trained), tuple(trained.values()), run.test_videos
    )


def _ensemble_sentence(config: TrainConfig) -> str:
    """Return how the ensemble is used, and which of its networks were trained earlier."""
    sentence = f"{config.output} is an ensemble: give it as --model"
    earlier = [each for each in members(config.output) if each not in _folders(config)]
    if earlier:
        names = ", ".join(each.name for each in earlier)
        sentence += (
            f". It includes {names} of an earlier training; remove what you do not want"
        )
    return sentence


def _prepared(run: "Run", config: TrainConfig) -> "Run":
    """Remove what an earlier training left; write the labels of several tables as one."""
    from deeplabstream.training.data.label_files import write_joined
    from deeplabstream.training.fit import open_device

    open_device(run.settings.device, run.settings.devices)  # before files are changed
    if config.overwrite and not config.resume:
        _remove_earlier(config, run.settings.start_from)
    if run.labels.tables == 1:
        return run
    return replace(run, labels=write_joined(run.labels, config.output))


def _one(
    run: "Run",
    folder: Path,
    config: TrainConfig,
    say: Callable[[str], object],
    second: "SecondLabels | None",
) -> "TrainingResult":
    """Train one network and report the result, beside the distance of two persons."""
    from deeplabstream.training.cropzoom import run_cropzoom_training
    from deeplabstream.training.evaluation.comparison import learned_before
    from deeplabstream.training.evaluation.held_out_sets import predict_others
    from deeplabstream.training.progress_reporting import JsonProgressReporter, Progress
    from deeplabstream.training.training_run import run_training

    quiet = config.progress == "none"
    if config.cropzoom:
        outcome = run_cropzoom_training(
            run,
            folder,
            lambda _: Progress(run.settings.steps, quiet),
            config.resume,
        )
    elif config.progress == "json":
        reporter = JsonProgressReporter.of(run)
        outcome = run_training(
            run, folder, reporter, config.resume, reporter.report_validation
        )
    else:
        progress = Progress(run.settings.steps, quiet)
        outcome = run_training(run, folder, progress, config.resume)
    for table in [] if run.views else predict_others(run.labels, folder):
        say(f"also predicted: {table}")
    if config.config is not None:
        copy_to_image_preds(folder, run.label_files())
    say("error in the held-out images, in pixels of the images:")
    persons = {} if second is None else {p.bodypart: p for p in second.summary()}
    for error in outcome.errors:
        say(
            f"  {error.bodypart:<12} median {error.median_px:5.1f}   95 % below "
            f"{error.p95_px:5.1f}   not seen {error.below_threshold:4.0%}"
            + (f"   two persons: {persons[error.bodypart].told}" if persons else "")
        )
    if warning := learned_before(folder):
        say(f"  {warning}")
    for name, value in outcome.animals.items():
        say(f"  {name} {value:g}" if isinstance(value, float | int) else f"  {name} -")
    before, after = outcome.calibration_error
    calibrated = f"{after:.3f} calibrated" if after < before else "not calibrated"
    say(
        f"calibration error of the confidence {before:.3f} raw, {calibrated}"
        f"; threshold {outcome.threshold:g}; written to {folder}"
    )
    return outcome


def _from_data(
    config: TrainConfig, data_path: Path, say: Callable[[str], object]
) -> "Run":
    from deeplabstream.training.data.animal_targets import Edges, edges_of, refused
    from deeplabstream.training.data.dataset import load_dataset, split
    from deeplabstream.training.data.projects import open_project
    from deeplabstream.training.evaluation.animal_matching import padded
    from deeplabstream.training.networks.backbone import open_backbone
    from deeplabstream.training.start_network import open_start

    start = None if config.start_from is None else open_start(config.start_from)
    where = config.output / "labels"
    labels = open_project(data_path, where, several=True).labels
    if labels.left_out:
        say(f"not learned, as they belong to no animal: {', '.join(labels.left_out)}")
    if labels.unlabelled:
        say(f"left out: {counted(labels.unlabelled, 'frame')} without any label")
    given = tuple(_edge(word, labels.skeleton) for word in config.edges)
    skeleton = replace(labels.skeleton, edges=given or labels.skeleton.edges)
    labels = replace(labels, skeleton=skeleton)
    edges: Edges = ()
    if config.animals > 1 or labels.animals > 1:
        refused(config.kind, ["--moved"] if config.moved > 0 else [])
        labels = padded(labels, config.animals or labels.animals)
        edges = edges_of(labels.skeleton, labels.points)
    context = config.kind == "context"
    fitting = config.size
    how = _architecture(config, skeleton, edges, start)
    if isinstance(fitting, str):
        multiple = open_backbone(how.backbone, how.stages).multiple
        fitting = fitting_like(labels.images, SIZES[fitting], multiple)
    data = load_dataset(labels, fitting, context)
    parts = split(labels.images, config.held_out, config.seed)

    from deeplabstream.training.data.augmentation import Augmentation
    from deeplabstream.training.data.rotation_range import turns_and_mirror
    from deeplabstream.training.fit import batch_and_rate
    from deeplabstream.training.fit_settings import FitSettings
    from deeplabstream.training.training_run import Run

    poses = labels.points.reshape(-1, len(labels.skeleton.bodyparts), 2)
    turns, mirror = turns_and_mirror(poses, labels.skeleton)
    turns = turns if config.rotation is None else config.rotation
    mirror = mirror if config.mirror is None else config.mirror
    say(
        f"input {fitting.width}x{fitting.height}; images are rotated by up to {turns:.0f} "
        f"degrees{' and mirrored' if mirror else ', never mirrored'}"
    )
    settings = FitSettings(
        steps=config.steps,
        batch=config.batch,
        network=how,
        imagenet=config.imagenet,
        augmentation=Augmentation(
            rotation_deg=turns,
            mirror=mirror,
            light=config.light,
            moved=config.moved,
        ),
        seed=config.seed,
        device=config.device,
        devices=config.devices or 1,
        precision=config.precision,
        workers=config.workers or 1,
    )
    if config.batch == 0:
        settings = batch_and_rate(settings, data.pick(parts.train))
        say(
            f"{settings.batch} images per step, learning rate "
            f"{settings.learning_rate:.2g}"
        )
    run = Run(labels, data, parts, settings)
    if start is None:
        return run
    run, taken = _started(run, start, say)
    settings = replace(run.settings, schedule=taken.schedule(config.steps))
    if how.scale == "mass":
        settings = replace(settings, loss=start.loss)
    return replace(run, settings=settings)


def _architecture(
    config: TrainConfig,
    skeleton: Skeleton,
    edges: "Edges",
    start: "StartNetwork | None",
) -> "Architecture":
    """Return the given architecture, or the start network's; ModelError: they differ."""
    from deeplabstream.training.networks.learned_vit import SIZES, WITHOUT_START
    from deeplabstream.training.networks.pose_network import Architecture

    if start is None and config.backbone in SIZES:
        raise ModelError(WITHOUT_START.format(config.backbone))
    names = ("backbone", "stages", "channels", "sigma")
    given = {name: getattr(config, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    own = Architecture() if start is None else start.how_with(skeleton.bodyparts)
    for name in names[:3] if start else ():
        if given.get(name, getattr(own, name)) != getattr(own, name):
            raise ModelError(
                f"--{name} {given[name]}: the network to start from has "
                f"{getattr(own, name)}; leave --{name} out"
            )
    if edges:
        own = replace(own, head="light", scale="peak")
    return replace(own, **given, kind=config.kind, edges=edges, views=1)


def _started(
    run: "Run", start: "StartNetwork", say: Callable[[str], object]
) -> "tuple[Run, TakenOver]":
    """Return the run, from a start network; say what is taken over."""
    from deeplabstream.training.data.labels import LabelsError
    from deeplabstream.training.evaluation.comparison import LEARNED, learned_images
    from deeplabstream.training.networks.pose_network import build_network, check_size
    from deeplabstream.training.start_network import take_over

    skeleton, fitting = run.data.skeleton, run.data.fitting
    check_size(run.settings.network, fitting.height, fitting.width)
    trial = build_network(len(skeleton.bodyparts), run.settings.network)
    taken = take_over(trial, skeleton, start)
    say(taken.sentence(start))
    settings = replace(run.settings, start_from=start.path, imagenet=False)
    try:
        learned = learned_images(start.path)
    except LabelsError as error:
        say(f"not known which images {start.path} learned: {error}")
        learned = set()
    held_out = (*run.parts.validation, *run.parts.test)
    names = [run.labels.names[row] for row in held_out]
    both = [name for name in names if name in learned]
    about = {"started_from": start.about(taken) | ({LEARNED: both} if both else {})}
    return replace(run, settings=settings, about=about), taken


def _from_config(
    config: TrainConfig, file: Path, say: Callable[[str], object]
) -> "Run":
    from deeplabstream.training.data.camera_views import join_views
    from deeplabstream.training.data.clips import look_at
    from deeplabstream.training.data.dataset import load_dataset, split_at_random
    from deeplabstream.training.data.gpu_clips import clip_reader
    from deeplabstream.training.fit import Unlabelled
    from deeplabstream.training.lightning_pose.project import read_pose_project
    from deeplabstream.training.losses.configured import (
        losses_of_cameras,
        losses_on_video,
        pca_of_columns,
    )
    from deeplabstream.training.networks.backbone import GRAPH
    from deeplabstream.training.start_network import open_start
    from deeplabstream.training.training_run import Run

    if unused := _given_for_data(config):
        say(
            f"{', '.join(unused)} changed nothing: {file} decides; change its values "
            "with --overrides"
        )
    project = read_pose_project(file, config.overrides, config.start_from)
    for remark in project.remarks:
        say(remark)
    training = project.config.training
    if project.views:
        parts_of_views = project.labels_of_views()
        labels, data = join_views(parts_of_views, project.views, project.fitting())
    else:
        labels = project.labels()
        context = project.config.model.model_type == "heatmap_mhcrnn"
        data = load_dataset(labels, project.fitting(), context)
    parts = split_at_random(
        len(data),
        training.train_prob,
        (1 - training.train_prob) / 2
        if training.val_prob is None
        else training.val_prob,
        training.rng_seed_data_pt,
        training.train_frames or 1,
    )
    settings = project.settings(len(parts.train), config.device)
    settings = replace(
        settings,
        workers=config.workers or settings.workers,
        devices=config.devices or settings.devices,
        precision=config.precision,
    )
    unlabelled = None
    train = labels.points[list(parts.train)]
    pca, hindered = pca_of_columns(project, labels.skeleton, train)
    for sentence in hindered:
        say(sentence)
    if project.wanted():
        losses = losses_on_video(project, labels.skeleton, train)
        videos = look_at(project.videos(), settings.clip_length)
        read, said = clip_reader(config.device)
        if said:
            say(said)
        unlabelled = Unlabelled(videos, losses, read=read)
    run = Run(
        labels, data, parts, settings, unlabelled, losses_of_cameras(project, data),
        project.views, project.words, pca, test_videos=project.test_videos(),
    )  # fmt: skip
    if (checkpoint := project.start_from) is None:
        return run
    start = open_start(checkpoint)
    how, its = settings.network, start.how
    how = replace(how, stages=its.stages, channels=its.channels)
    if its.backbone.startswith(GRAPH):
        say(f"model.backbone {project.config.model.backbone} changed nothing: the layers "
            f"of {start.path} are used")  # fmt: skip
        how = replace(how, backbone=its.backbone)
    return _started(replace(run, settings=replace(settings, network=how)), start, say)[
        0
    ]


def _named(run: "Run") -> str:
    """Return the backbone and its weights, in words."""
    from deeplabstream.training.networks.backbone import GRAPH

    name = run.settings.network.backbone
    start = run.settings.start_from
    if name.startswith(GRAPH) and start is not None:
        return f"layers of {start.resolve().name}"
    if (file := run.settings.backbone_file) is not None:
        return f"{name}, weights of {file.name}"
    return name + (", ImageNet weights (Apache-2.0)" if run.settings.imagenet else "")


def _given_for_data(config: TrainConfig) -> list[str]:
    """Return the given options that only training without a configuration uses."""
    names = [each.name for each in fields(TrainConfig)]
    plain = TrainConfig(output=config.output, data=config.output, edges=[])
    given = replace(config, edges=list(config.edges))
    return [
        "--no-imagenet" if name == "imagenet" else f"--{name.replace('_', '-')}"
        for name in names[names.index("size") :]
        if getattr(given, name) != getattr(plain, name)
    ]


def _edge(word: str, skeleton: Skeleton) -> tuple[str, str]:
    ends = word.split(":")
    if len(ends) != 2 or not set(ends) <= set(skeleton.bodyparts):
        known = ", ".join(skeleton.bodyparts)
        raise ModelError(f"--edges {word}: expected A:B, two of {known}")
    return ends[0], ends[1]
