"""Preparation of a training run: labels or a configuration become a `Run`.

`run_from_labels` decides from options and labels; `run_from_config` follows the file of
Lightning Pose.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError, counted
from deeplabstream.core.pose import Skeleton
from deeplabstream.settings.option_fields import option_fields
from deeplabstream.training.data.animal_targets import Edges, edges_of, refused
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.camera_views import join_views, of_all_views
from deeplabstream.training.data.clips import open_clip_videos
from deeplabstream.training.data.dataset import load_dataset, split, split_at_random
from deeplabstream.training.data.gpu_clips import clip_reader
from deeplabstream.training.data.input_size import SIZES, fitting_like
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.data.rotation_range import turns_and_mirror
from deeplabstream.training.evaluation.animal_matching import padded
from deeplabstream.training.evaluation.learned_images import LEARNED, learned_images
from deeplabstream.training.fit import Unlabelled, batch_and_rate
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.lightning_pose.project import PoseProject, read_pose_project
from deeplabstream.training.losses.configured import (
    losses_of_cameras,
    losses_on_video,
    pca_of_columns,
)
from deeplabstream.training.networks import learned_vit
from deeplabstream.training.networks.backbone import GRAPH, open_backbone
from deeplabstream.training.networks.pose_network import (
    Architecture,
    build_network,
    check_size,
)
from deeplabstream.training.start_network import (
    StartNetwork,
    TakenOver,
    open_start,
    take_over,
)
from deeplabstream.training.train_config import TrainConfig, is_from_labels
from deeplabstream.training.training_run import Run

Report = Callable[[str], object]
"""Gets each sentence about the run."""


def run_from_labels(config: TrainConfig, source: Path, report: Report) -> Run:
    """Return the run that the options and the labels in `source` decide."""
    start = None if config.start_from is None else open_start(config.start_from)
    labels = _labels(config, source, report)

    # Several animals: part affinity fields connect body parts along these edges.
    edges: Edges = ()
    if config.animals > 1 or labels.animals > 1:
        refused(config.kind, ["--moved"] if config.moved > 0 else [])
        labels = padded(labels, config.animals or labels.animals)
        edges = edges_of(labels.skeleton, labels.points)

    architecture = _architecture(config, labels.skeleton, edges, start)
    fitting = config.size
    if isinstance(fitting, str):
        multiple = open_backbone(architecture.backbone, architecture.stages).multiple
        fitting = fitting_like(labels.images, SIZES[fitting], multiple)

    # Everything that depends on the labels alone is decided here, and reported.
    data = load_dataset(labels, fitting, config.kind == "context")
    parts = split(labels.images, config.held_out, config.seed)
    augmentation = _augmentation(config, labels)
    report(
        f"input {fitting.width}x{fitting.height}; images are rotated by up to "
        f"{augmentation.rotation_deg:.0f} degrees"
        f"{' and mirrored' if augmentation.mirror else ', never mirrored'}"
    )
    settings = FitSettings(
        steps=config.steps,
        batch=config.batch,
        network=architecture,
        imagenet=config.imagenet,
        augmentation=augmentation,
        seed=config.seed,
        device=config.device,
        devices=config.devices or 1,
        precision=config.precision,
        workers=config.workers or 1,
    )
    if config.batch == 0:
        settings = batch_and_rate(settings, data.pick(parts.train))
        report(
            f"{settings.batch} images per step, learning rate "
            f"{settings.learning_rate:.2g}"
        )

    run = Run(labels, data, parts, settings)
    if start is None:
        return run
    run, taken = _with_start(run, start, report)
    settings = replace(run.settings, schedule=taken.schedule(config.steps))
    if architecture.scale == "mass":
        # Maps that sum to 1 must keep the loss that they were trained with.
        settings = replace(settings, loss=start.loss)
    return replace(run, settings=settings)


def _labels(config: TrainConfig, source: Path, report: Report) -> Labels:
    """Return the labels, with the edges of `--edges`; report omitted labels."""
    labels = open_project(source, config.output / "labels", several=True).labels
    if labels.left_out:
        report(
            f"not learned, as they belong to no animal: {', '.join(labels.left_out)}"
        )
    if labels.unlabelled:
        report(f"left out: {counted(labels.unlabelled, 'frame')} without any label")
    edges = tuple(_edge(text, labels.skeleton) for text in config.edges)
    skeleton = replace(labels.skeleton, edges=edges or labels.skeleton.edges)
    return replace(labels, skeleton=skeleton)


def _edge(text: str, skeleton: Skeleton) -> tuple[str, str]:
    """Return the two body parts of `A:B`; ModelError: they are not in the skeleton."""
    ends = text.split(":")
    if len(ends) != 2 or not set(ends) <= set(skeleton.bodyparts):
        known = ", ".join(skeleton.bodyparts)
        raise ModelError(f"--edges {text}: expected A:B, two of {known}")
    return ends[0], ends[1]


def _augmentation(config: TrainConfig, labels: Labels) -> Augmentation:
    """Return the augmentation; missing options are derived from the labelled poses.

    An animal that always stands upright in the images must not be learned upside down.
    """
    poses = labels.points.reshape(-1, len(labels.skeleton.bodyparts), 2)
    rotation_deg, mirror = turns_and_mirror(poses, labels.skeleton)
    return Augmentation(
        rotation_deg=rotation_deg if config.rotation is None else config.rotation,
        mirror=mirror if config.mirror is None else config.mirror,
        light=config.light,
        moved=config.moved,
    )


def _architecture(
    config: TrainConfig, skeleton: Skeleton, edges: Edges, start: StartNetwork | None
) -> Architecture:
    """Return the given architecture, or the start network's; ModelError: they differ."""
    if start is None and config.backbone in learned_vit.SIZES:
        raise ModelError(learned_vit.WITHOUT_START.format(config.backbone))

    names = ("backbone", "stages", "channels", "sigma")
    given = {name: getattr(config, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    base = Architecture() if start is None else start.how_with(skeleton.bodyparts)

    # Weights fit one shape only; `sigma` is the width of the target and may differ.
    for name in names[:3] if start else ():
        if given.get(name, getattr(base, name)) != getattr(base, name):
            raise ModelError(
                f"--{name} {given[name]}: the network to start from has "
                f"{getattr(base, name)}; leave --{name} out"
            )

    if edges:
        base = replace(base, head="light", scale="peak")
    return replace(base, **given, kind=config.kind, edges=edges, views=1)


def _with_start(run: Run, start: StartNetwork, report: Report) -> tuple[Run, TakenOver]:
    """Return the run from a start network; report which weights are transferred."""
    skeleton, fitting = run.data.skeleton, run.data.fitting
    check_size(run.settings.network, fitting.height, fitting.width)
    trial = build_network(len(skeleton.bodyparts), run.settings.network)
    taken = take_over(trial, skeleton, start)
    report(taken.sentence(start))
    settings = replace(run.settings, start_from=start.path, imagenet=False)

    # Held-out images that the start network was trained on make its errors too small.
    try:
        learned = learned_images(start.path)
    except LabelsError as error:
        report(f"not known which images {start.path} learned: {error}")
        learned = set()
    held_out = (*run.parts.validation, *run.parts.test)
    names = [run.labels.names[row] for row in held_out]
    both = [name for name in names if name in learned]

    about = {"started_from": start.about(taken) | ({LEARNED: both} if both else {})}
    return replace(run, settings=settings, about=about), taken


def run_from_config(config: TrainConfig, file: Path, report: Report) -> Run:
    """Return the run that a Lightning Pose configuration decides."""
    if unused := _without_effect(config):
        report(
            f"{', '.join(unused)} changed nothing: {file} decides; change its values "
            "with --overrides"
        )
    project = read_pose_project(file, config.overrides, config.start_from)
    for remark in project.remarks:
        report(remark)

    if project.views:
        views = project.labels_of_views()
        labels, data = join_views(views, project.views, project.fitting())
    else:
        labels = project.labels()
        with_context = project.config.model.model_type == "heatmap_mhcrnn"
        data = load_dataset(labels, project.fitting(), with_context)

    training = project.config.training
    validation_share = training.val_prob
    if validation_share is None:  # the default of Lightning Pose
        validation_share = (1 - training.train_prob) / 2
    # of a moment that several cameras show, all images are in one part
    cameras = 1 if project.views else len(project.tables())
    moments = len(data) // cameras
    parts = split_at_random(
        moments,
        training.train_prob,
        validation_share,
        training.rng_seed_data_pt,
        training.train_frames or 1,
    )
    if cameras > 1:
        parts = of_all_views(parts, moments, cameras)
    settings = project.settings(len(parts.train), config.device)
    settings = replace(
        settings,
        workers=config.workers or settings.workers,
        devices=config.devices or settings.devices,
        precision=config.precision,
    )

    # Principal components are those of training poses: held-out ones must stay unseen.
    train = labels.points[list(parts.train)]
    pca, problems = pca_of_columns(project, labels.skeleton, train)
    for problem in problems:
        report(problem)
    run = Run(
        labels,
        data,
        parts,
        settings,
        _unlabelled(config, project, labels, train, settings.clip_length, report),
        losses_of_cameras(project, data),
        project.views,
        project.content,
        pca,
        test_videos=project.test_videos(),
    )
    if project.start_from is None:
        return run

    # The layers determine the architecture; the configuration only selects the type of
    # head.
    start = open_start(project.start_from)
    network = replace(
        settings.network, stages=start.how.stages, channels=start.how.channels
    )
    if start.how.backbone.startswith(GRAPH):
        report(
            f"model.backbone {project.config.model.backbone} changed nothing: the "
            f"layers of {start.path} are used"
        )
        network = replace(network, backbone=start.how.backbone)
    run = replace(run, settings=replace(settings, network=network))
    return _with_start(run, start, report)[0]


def _without_effect(config: TrainConfig) -> list[str]:
    """Return the given options that a Lightning Pose configuration decides instead."""
    given = [
        name
        for name, field in option_fields(TrainConfig).items()
        if is_from_labels(field) and getattr(config, name) != field.default
    ]
    return [
        "--no-imagenet" if name == "imagenet" else f"--{name.replace('_', '-')}"
        for name in given
    ]


def _unlabelled(
    config: TrainConfig,
    project: PoseProject,
    labels: Labels,
    train: NDArray[np.float32],
    clip_length: int,
    report: Report,
) -> Unlabelled | None:
    """Return the unlabelled videos and their losses, None without such losses."""
    if not project.video_losses():
        return None
    losses = losses_on_video(project, labels.skeleton, train)
    videos = open_clip_videos(project.videos(), clip_length)
    read, remark = clip_reader(config.device)
    if remark:
        report(remark)
    return Unlabelled(videos, losses, read=read)
