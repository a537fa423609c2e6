"""Train a network on labelled frames and write it as a model folder.

    python utils/TrainNetwork.py --data labels/ --output models/mine
    python utils/TrainNetwork.py config.yaml --output runs/one --overrides training.max_epochs=50

`--data` holds a `CollectedData.csv` as DeepLabCut and Lightning Pose write it, and the
pictures it names; or it is a DeepLabCut project, or a SLEAP package (`.pkg.slp`). With
several animals in a picture the network learns part affinity fields too, and tells all of
them. A Lightning Pose project is trained as its YAML file says. `--seeds 0,1,2` trains an
ensemble.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

import argparse
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.core.overwriting import check_free
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.training.command_line import train_parser
from deeplabstream.training.lightning_pose.result_tables import PREDICTIONS

if TYPE_CHECKING:
    from deeplabstream.training.training_run import Run


@ending("stopped; --resume goes on")
def main(argv: Sequence[str] | None = None) -> int:
    """Train."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = train_parser((__doc__ or "").split("\n")[0])
    arguments = parser.parse_args(given)
    if (arguments.config is None) == (arguments.data is None):
        parser.error("give either --data or a Lightning Pose configuration")
    package = Path(__file__).resolve().parents[1] / "outputs"
    if package in (arguments.output.resolve(), *arguments.output.resolve().parents):
        parser.error(f"--output: {package} holds programs; give another folder")
    if not arguments.resume:
        _check_output(arguments)
    try:
        _train(arguments, given)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise DeepLabStreamError(
            "there is too little memory; make the batch smaller"
        ) from error
    return 0


def _check_output(arguments: argparse.Namespace) -> None:
    """Refuse to train over a network, or over a training that was stopped."""
    folders = [arguments.output / f"seed{seed}" for seed in arguments.seeds]
    kept = (DESCRIPTION, "checkpoints/last.ckpt")
    check_free(
        [folder / name for folder in folders or [arguments.output] for name in kept],
        arguments.overwrite,
        "--overwrite (--resume goes on with a training that was stopped)",
    )


def _train(arguments: argparse.Namespace, given: Sequence[str]) -> None:
    # Threads that wait by spinning slow each other down where other programs run too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    run = _from_config(arguments) if arguments.config else _from_data(arguments)
    taken = {run.labels.root, arguments.config.parent if arguments.config else None}
    beside = any(
        each and each.resolve() == arguments.output.resolve() for each in taken
    )
    if beside and not arguments.resume:
        raise DeepLabStreamError(
            f"--output {arguments.output}: labels or settings lie there, and the network's "
            "own would replace them; give another folder"
        )
    import torch

    from deeplabstream.training.data.dataset import fingerprint
    from deeplabstream.training.evaluation.held_out_sets import read_others

    if not run.views:
        read_others(run.labels)  # what is wrong with them is told before, not after
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    about = {
        "command": shlex.join(["python", "utils/TrainNetwork.py", *given]),
        "network": run.settings.network.backbone
        + (", ImageNet weights (Apache-2.0)" if run.settings.imagenet else ""),
        "licence": arguments.licence,
        "data_sha256": fingerprint(run.labels),
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    run = replace(run, about=about, right_px=arguments.within)
    parts = run.parts
    print(
        f"{len(parts.train)} pictures to train on, "
        f"{len(parts.validation) + len(parts.test)} held out"
    )
    if not arguments.seeds:
        _one(run, arguments.output, arguments)
        return
    for seed in arguments.seeds:
        folder = arguments.output / f"seed{seed}"
        if arguments.resume and (folder / PREDICTIONS).is_file():
            print(f"{folder} was trained before")
            continue
        print(f"seed {seed}:")
        _one(replace(run, settings=replace(run.settings, seed=seed)), folder, arguments)
    print(f"{arguments.output} is an ensemble: give it as --model")


def _one(run: "Run", folder: Path, arguments: argparse.Namespace) -> None:
    """Train one network and say what came out."""
    from deeplabstream.training.cropzoom import carry_out_cropzoom
    from deeplabstream.training.evaluation.held_out_sets import predict_others
    from deeplabstream.training.progress_reporting import Progress
    from deeplabstream.training.training_run import carry_out
    from deeplabstream.training.progress_reporting import Teller

    resume = arguments.resume
    if arguments.cropzoom:
        outcome = carry_out_cropzoom(
            run,
            folder,
            lambda _: Progress(run.settings.steps, arguments.quiet),
            resume,
        )
    elif arguments.tell:
        teller = Teller.of(run)
        outcome = carry_out(run, folder, teller, resume, teller.look)
    else:
        progress = Progress(run.settings.steps, arguments.quiet)
        outcome = carry_out(run, folder, progress, resume)
    for table in [] if run.views else predict_others(run.labels, folder):
        print(f"also predicted: {table}")
    print("error in the held-out pictures, in their pixels:")
    for error in outcome.errors:
        print(
            f"  {error.bodypart:<12} median {error.median_px:5.1f}   95 % below "
            f"{error.p95_px:5.1f}   not seen {error.below_threshold:4.0%}"
        )
    for name, value in outcome.animals.items():
        print(
            f"  {name} {value:g}" if isinstance(value, float | int) else f"  {name} -"
        )
    before, after = outcome.calibration_error
    print(
        f"calibration error of the confidence {before:.3f} as it came, {after:.3f} "
        f"calibrated; threshold {outcome.threshold:g}; written to {folder}"
    )


def _from_data(arguments: argparse.Namespace) -> "Run":
    from deeplabstream.training.data.animal_targets import Edges, edges_of, refused
    from deeplabstream.training.networks.backbone import open_backbone
    from deeplabstream.training.data.dataset import load_dataset, split
    from deeplabstream.training.evaluation.animal_matching import padded
    from deeplabstream.training.data.input_size import SIZES, fitting_like
    from deeplabstream.training.data.projects import open_project

    where = arguments.output / "labels"
    labels = open_project(arguments.data, where, several=True).labels
    bones = tuple(_bone(word, labels.skeleton) for word in arguments.bones)
    bones = bones or labels.skeleton.bones
    labels = replace(labels, skeleton=replace(labels.skeleton, bones=bones))
    edges: Edges = ()
    if arguments.animals > 1 or labels.animals > 1:
        words = {
            "--moved": arguments.moved > 0,
            "--cropzoom": arguments.cropzoom,
        }
        refused(arguments.kind, [word for word, given in words.items() if given])
        labels = padded(labels, arguments.animals or labels.animals)
        edges = edges_of(labels.skeleton, labels.points)
    context = arguments.kind == "context"
    fitting = arguments.size
    if isinstance(fitting, str):
        multiple = open_backbone(arguments.backbone, arguments.stages).multiple
        fitting = fitting_like(labels.images, SIZES[fitting], multiple)
    data = load_dataset(labels, fitting, context)
    parts = split(data.clips, arguments.held_out, arguments.seed)

    from deeplabstream.training.data.augmentation import Augmentation
    from deeplabstream.training.automatic_batch import batch_and_rate
    from deeplabstream.training.networks.pose_network import Architecture
    from deeplabstream.training.training_run import Run
    from deeplabstream.training.train_config import FitSettings
    from deeplabstream.training.data.rotation_range import turns_and_mirror

    poses = labels.points.reshape(-1, len(labels.skeleton.bodyparts), 2)
    turns, mirror = turns_and_mirror(poses, labels.skeleton)
    turns = turns if arguments.rotation is None else arguments.rotation
    mirror = mirror if arguments.mirror is None else arguments.mirror
    print(
        f"input {fitting.width}x{fitting.height}; pictures are turned up to {turns:.0f} "
        f"degrees{' and mirrored' if mirror else ', never mirrored'}"
    )
    settings = FitSettings(
        steps=arguments.steps,
        batch=arguments.batch,
        network=Architecture(
            backbone=arguments.backbone,
            kind=arguments.kind,
            stages=arguments.stages,
            channels=arguments.channels,
            sigma=arguments.sigma,
            edges=edges,
        ),
        imagenet=not arguments.no_imagenet,
        augmentation=Augmentation(
            rotation_deg=turns,
            mirror=mirror,
            light=arguments.light,
            moved=arguments.moved,
        ),
        seed=arguments.seed,
        device=arguments.device,
        devices=arguments.devices,
        precision=arguments.precision,
        workers=arguments.workers,
    )
    if arguments.batch == 0:
        settings = batch_and_rate(settings, data.pick(parts.train))
        print(
            f"{settings.batch} pictures per step, learning rate "
            f"{settings.learning_rate:.2g}"
        )
    return Run(labels, data, parts, settings)


def _from_config(arguments: argparse.Namespace) -> "Run":
    from deeplabstream.training.data.clips import look_at
    from deeplabstream.training.data.dataset import load_dataset, split_at_random
    from deeplabstream.training.fit import Unlabelled
    from deeplabstream.training.data.gpu_clips import clip_reader
    from deeplabstream.training.lightning_pose.project import read_pose_project
    from deeplabstream.training.losses.configured import (
        losses_of_cameras,
        losses_on_video,
    )
    from deeplabstream.training.training_run import Run
    from deeplabstream.training.data.camera_views import join_views

    project = read_pose_project(arguments.config, arguments.overrides)
    for remark in project.remarks:
        print(remark)
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
    settings = project.settings(len(parts.train), arguments.device)
    settings = replace(
        settings,
        workers=arguments.workers,
        devices=arguments.devices,
        precision=arguments.precision,
    )
    unlabelled = None
    if project.wanted():
        train = labels.points[list(parts.train)]
        losses = losses_on_video(project, labels.skeleton, train)
        videos = look_at(project.videos(), settings.clip_length)
        read, said = clip_reader(arguments.device)
        if said:
            print(said)
        unlabelled = Unlabelled(videos, losses, read=read)
    return Run(
        labels, data, parts, settings, unlabelled, losses_of_cameras(project, data),
        project.views, project.words,
    )  # fmt: skip


def _bone(word: str, skeleton: Skeleton) -> tuple[str, str]:
    ends = word.split(":")
    if len(ends) != 2 or not set(ends) <= set(skeleton.bodyparts):
        known = ", ".join(skeleton.bodyparts)
        raise ModelError(f"--bones {word}: expected A:B, two of {known}")
    return ends[0], ends[1]


if __name__ == "__main__":
    sys.exit(main())
