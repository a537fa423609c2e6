"""Training of a network from labels to its model folder: one call for all programs."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, ModelError, counted
from deeplabstream.files.overwriting import check_free
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    ModelFolder,
    load_model_folder,
)
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.training.lightning_pose.result_tables import (
    PREDICTIONS,
    copy_to_image_preds,
)
from deeplabstream.training.train_config import TrainConfig

# Modules with torch are imported by the functions below: the window imports `TrainConfig`,
# and its process stays without torch.
if TYPE_CHECKING:
    from deeplabstream.training.evaluation.evaluate import PartError
    from deeplabstream.training.evaluation.second_labels import SecondLabels
    from deeplabstream.training.lightning_pose.project import TestVideos
    from deeplabstream.training.training_run import Run, TrainingResult

CHECKPOINT = "checkpoints/last.ckpt"
"""Checkpoint of a stopped training, in the folder of its network."""


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes
    ----------
    folder : pathlib.Path
        The network, or the ensemble of networks: `load_model` and `predict` take it.
    networks : tuple of pathlib.Path
        The folder of each network that was trained now.
    errors : tuple of tuple of PartError
        For each of them, by body part: errors in the held-out images, in their pixels.
    test_videos : TestVideos, optional
        Videos to predict, as the configuration demands (`eval`).
    """

    folder: Path
    networks: tuple[Path, ...] = ()
    errors: "tuple[tuple[PartError, ...], ...]" = ()
    test_videos: "TestVideos | None" = None

    @property
    def model(self) -> ModelFolder:
        """The model folder; ModelError: it is an ensemble."""
        return load_model_folder(self.folder)


def train(config: TrainConfig, report: Callable[[str], object] = print) -> Trained:
    """Train a network on labelled frames and write it as a model folder.

    Parameters
    ----------
    config : TrainConfig
        What to train on, how, and where the network goes.
    report : callable
        Gets each sentence about the training.

    Returns
    -------
    Trained
        The folder and the errors in the held-out images.

    Raises
    ------
    DeepLabStreamError
        A network exists already, labels or settings are wrong, or memory is too small.
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
    config = _with_source(config)
    if not config.resume:
        _check_output(config)
    try:
        return _train(config, report)
    except OSError as error:
        # Python names no file where the disk is full.
        error.filename = error.filename or str(config.output)
        raise
    except RuntimeError as error:
        # torch reports too little memory, of CPU and GPU, in the text only.
        if "memory" not in str(error):
            raise
        raise DeepLabStreamError("not enough memory; use a smaller batch") from error


def _with_source(config: TrainConfig) -> TrainConfig:
    """Return it with `data` or `config` set, as the content of the given path demands.

    A user may give a Lightning Pose project where labels are expected, and vice versa.
    """
    from deeplabstream.training.data.projects import pose_config_at

    given = config.config or config.data
    if given is None:
        return config
    pose_config = pose_config_at(given, folders=config.config is not None)
    if config.overrides and pose_config is None:
        raise ModelError(
            f"--overrides {' '.join(config.overrides)}: they change a Lightning Pose "
            f"configuration (.yaml), and {given} is none; use the options of TrainNetwork"
        )
    return replace(config, data=None if pose_config else given, config=pose_config)


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


def _train(config: TrainConfig, report: Callable[[str], object]) -> Trained:
    # OpenMP's threads otherwise wait by spinning, and slow down other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    import torch

    from deeplabstream.training.evaluation.held_out_sets import read_others
    from deeplabstream.training.evaluation.second_labels import second_labels
    from deeplabstream.training.run_preparation import run_from_config, run_from_labels

    # All problems of labels and settings are reported before the training, which takes
    # hours, and before a file is changed.
    if config.config is not None:
        run = run_from_config(config, config.config, report)
    else:
        run = run_from_labels(config, config.data or config.output, report)
    _check_apart(run, config)
    if not run.views:
        read_others(run.labels)
    second = None if run.views else second_labels(run.labels)
    if config.threads > 0:
        torch.set_num_threads(config.threads)
    run = replace(run, about=_about(run, config, second), right_px=config.within)
    for line in _remarks(run, second):
        report(line)
    run = _with_clean_output(run, config)

    if not config.seeds:
        errors = _train_network(run, config.output, config, report, second).errors
        return Trained(config.output, (config.output,), (errors,), run.test_videos)

    trained: dict[Path, tuple[PartError, ...]] = {}
    for seed in config.seeds:
        folder = config.output / f"seed{seed}"
        # The predictions are written last: with them a network is complete.
        if config.resume and (folder / PREDICTIONS).is_file():
            report(f"{folder} is already trained")
            continue
        report(f"seed {seed}:")
        seeded = replace(run, settings=replace(run.settings, seed=seed))
        result = _train_network(seeded, folder, config, report, second)
        trained[folder] = result.errors
    report(_ensemble_sentence(config))
    return Trained(
        config.output, tuple(trained), tuple(trained.values()), run.test_videos
    )


def _check_apart(run: "Run", config: TrainConfig) -> None:
    """Raise DeepLabStreamError where the output would replace labels or settings.

    A resumed training has its own copies of both in its folder.
    """
    inputs = [run.labels.root, *([config.config.parent] if config.config else [])]
    output = config.output.resolve()
    if not config.resume and any(folder.resolve() == output for folder in inputs):
        raise DeepLabStreamError(
            f"--output {config.output}: it contains labels or settings, which the "
            "network's files would replace; name another folder"
        )


def _about(
    run: "Run", config: TrainConfig, second: "SecondLabels | None"
) -> dict[str, object]:
    """Return the provenance for `model.json`: command, data, licence and versions."""
    import torch

    from deeplabstream.training.data.dataset import fingerprint

    context = run.data.context if run.views else None
    about: dict[str, object] = {
        **({"purpose": config.purpose} if config.purpose else {}),
        **run.about,
        "command": config.command,
        "network": _network_name(run),
        "licence": config.licence,
        "data_sha256": fingerprint(run.labels, context),
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    if second is not None:
        about["second_labels"] = [asdict(distance) for distance in second.summary()]
    return about


def _network_name(run: "Run") -> str:
    """Return the backbone and the origin of its weights."""
    from deeplabstream.training.networks.backbone import GRAPH

    name = run.settings.network.backbone
    start = run.settings.start_from
    if name.startswith(GRAPH) and start is not None:
        return f"layers of {start.resolve().name}"
    if (file := run.settings.backbone_file) is not None:
        return f"{name}, weights of {file.name}"
    return name + (", ImageNet weights (Apache-2.0)" if run.settings.imagenet else "")


def _remarks(run: "Run", second: "SecondLabels | None") -> Iterator[str]:
    """Yield sentences about unused and suspicious labels, and their number."""
    from deeplabstream.training.data.label_checks import (
        suspicious_labels,
        warning_lines,
    )

    for problem in second.problems if second else ():
        yield f"the labels of a second person are not compared: {problem}"
    if not run.views:
        yield from warning_lines(run.labels, suspicious_labels(run.labels))
    parts = run.parts
    yield (
        f"{counted(len(parts.train), 'image')} to train on, "
        f"{len(parts.validation) + len(parts.test)} held out"
    )


def _with_clean_output(run: "Run", config: TrainConfig) -> "Run":
    """Remove the files of an earlier training; write several tables of labels as one."""
    from deeplabstream.training.data.label_files import write_joined
    from deeplabstream.training.fit import open_device

    # Before the earlier network is removed: the device may not exist.
    open_device(run.settings.device, run.settings.devices)
    if config.overwrite and not config.resume:
        _remove_earlier(config, run.settings.start_from)
    if run.labels.tables == 1:
        return run
    return replace(run, labels=write_joined(run.labels, config.output))


def _remove_earlier(config: TrainConfig, start: Path | None) -> None:
    """Remove the files by which a folder counts as a network, or as a stopped training.

    Otherwise a training that is stopped before its first checkpoint would continue from
    the earlier one, or leave the earlier network with the new configuration. A network
    that the training starts from stays.
    """
    names = [CHECKPOINT, PREDICTIONS]
    if start is None or not start.resolve().is_relative_to(config.output.resolve()):
        names.append(DESCRIPTION)
    for network in _folders(config):
        for folder in (network, network / DETECTOR, network / CONTEXT):
            for name in names:
                if start is None or (folder / name).resolve() != start.resolve():
                    (folder / name).unlink(missing_ok=True)


def _train_network(
    run: "Run",
    folder: Path,
    config: TrainConfig,
    report: Callable[[str], object],
    second: "SecondLabels | None",
) -> "TrainingResult":
    """Train one network, predict the other labelled sets, and report the result."""
    from deeplabstream.training.cropzoom import run_cropzoom_training
    from deeplabstream.training.evaluation.held_out_sets import predict_others
    from deeplabstream.training.progress_reporting import JsonProgressReporter, Progress
    from deeplabstream.training.training_run import run_training

    quiet = config.progress == "none"
    if config.cropzoom:
        result = run_cropzoom_training(
            run,
            folder,
            lambda _: Progress(run.settings.steps, quiet),
            config.resume,
        )
    elif config.progress == "json":
        reporter = JsonProgressReporter.of(run)
        result = run_training(
            run, folder, reporter, config.resume, reporter.report_validation
        )
    else:
        progress = Progress(run.settings.steps, quiet)
        result = run_training(run, folder, progress, config.resume)

    for table in [] if run.views else predict_others(run.labels, folder):
        report(f"also predicted: {table}")
    if config.config is not None:
        # Lightning Pose's app reads the predictions there.
        copy_to_image_preds(folder, run.label_files())
    for line in _result_lines(result, folder, second, config.progress != "json"):
        report(line)
    return result


def _result_lines(
    result: "TrainingResult", folder: Path, second: "SecondLabels | None", table: bool
) -> Iterator[str]:
    """Yield the errors of each body part beside the human limit, and the calibration.

    Without `table` the errors are left out: the window reads them from model.json.
    """
    from deeplabstream.training.evaluation.learned_images import learned_before

    if table:
        yield from _error_table(result, second)
    if warning := learned_before(folder):
        yield f"  {warning}"
    for name, value in result.animals.items():
        yield f"  {name} {value:g}" if isinstance(value, float | int) else f"  {name} -"

    before, after = result.calibration_error
    calibrated = f"{after:.3f} calibrated" if after < before else "not calibrated"
    yield (
        f"calibration error of the confidence {before:.3f} raw, {calibrated}"
        f"; threshold {result.threshold:g}; written to {folder}"
    )


def _error_table(
    result: "TrainingResult", second: "SecondLabels | None"
) -> Iterator[str]:
    """Yield a title, and the errors of each body part beside the human limit."""
    yield "error in the held-out images, in pixels of the images:"
    persons = {} if second is None else {d.bodypart: d for d in second.summary()}
    for error in result.errors:
        line = (
            f"  {error.bodypart:<12} median {error.median_px:5.1f}   95 % below "
            f"{error.p95_px:5.1f}   not seen {error.below_threshold:4.0%}"
        )
        if persons:
            line += f"   two persons: {persons[error.bodypart].text}"
        yield line


def _ensemble_sentence(config: TrainConfig) -> str:
    """Return how the ensemble is used, and which of its networks were trained earlier."""
    sentence = f"{config.output} is an ensemble: give it as --model"
    trained_now = _folders(config)
    earlier = [path for path in members(config.output) if path not in trained_now]
    if earlier:
        names = ", ".join(path.name for path in earlier)
        sentence += (
            f". It includes {names} of an earlier training; remove what you do not want"
        )
    return sentence
