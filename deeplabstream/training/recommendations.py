"""Recommended training settings for a project on this machine, each with its reason."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.projects import Project
from deeplabstream.training.data.rotation_range import turns_and_mirror
from deeplabstream.video.decoding import video_format

LEAST_STEPS, MOST_STEPS = 600, 6000
EPOCHS = 150
"""Recommended epochs, within these limits of steps."""
SMALL = 12
"""Pixels of the network's input: smaller animals need a larger input, or cropzoom."""
SIDES = (128, 192, 256, 320, 384, 512)


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommended setting, with its reason."""

    key: str
    """In Lightning Pose's file."""
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """Facts of a project and of this machine that the recommendations depend on."""

    images: int
    clips: int
    bodyparts: tuple[str, ...]
    height: int
    width: int
    """Most common width of the images, px."""
    animal_px: float
    """Median extent of an animal's points, the larger side; NaN: never two points."""
    missing: float
    """Share of points without a label."""
    videos: tuple[Path, ...]
    gpu_gb: float
    """Memory of the GPU; 0: there is none."""
    all_round: bool = True
    """Whether animals have all orientations, as seen by a camera above them."""


def inspect_project(project: Project, gpu_gb: float) -> ProjectFacts:
    """Return the facts of a project; LabelsError: an image can't be read."""
    labels = project.labels
    if labels.animals > 1:
        raise LabelsError(
            ["several animals: train with --data, which chooses these settings itself"]
        )
    shapes = []
    for file in labels.images[:: max(1, len(labels.images) // 10)]:
        image = read_image(file)
        if image is None:
            raise LabelsError([f"the image {file} can't be read"])
        shapes.append(image.shape[:2])
    height, width = np.median(shapes, axis=0).astype(int).tolist()
    labelled = np.isfinite(labels.points).all(axis=2)
    return ProjectFacts(
        len(labels.images),
        len({file.parent for file in labels.images}),
        labels.skeleton.bodyparts,
        height,
        width,
        _extent(labels),
        float(1 - labelled.mean()),
        tuple(video for video in project.videos if _opens(video)),
        gpu_gb,
        turns_and_mirror(labels.points, labels.skeleton)[0] == 180,
    )


def advise(facts: ProjectFacts) -> list[Advice]:
    """Return the recommended settings."""
    side = _side(facts)
    batch = 8 if facts.gpu_gb == 0 else 16 if facts.gpu_gb < 12 else 32
    steps = int(np.clip(EPOCHS * facts.images / batch, LEAST_STEPS, MOST_STEPS))
    scaled = facts.animal_px * side / max(facts.height, facts.width)

    advice = [
        Advice(
            "model.backbone", "efficientnet_lite0",
            "its ImageNet weights come as a package, and it is fast on CPUs",
        ),
        Advice(
            "data.image_resize_dims", _size(facts),
            f"images are {facts.width}x{facts.height}"
            + ("" if np.isnan(scaled) else f"; the animal is about {scaled:.0f} px in it"),
        ),
        Advice(
            "model.heatmap_loss_type", "cross_entropy",
            "the height of its peaks is a confidence",
        ),
        Advice(
            "training.imgaug", "dlc-top-down" if facts.all_round else "dlc",
            "labelled poses have all directions, or are too few"
            if facts.all_round
            else "labelled poses have similar directions",
        ),
        Advice(
            "training.train_batch_size", batch,
            f"a GPU of {facts.gpu_gb:.0f} GB"
            if facts.gpu_gb
            else "no GPU: a larger batch would not be faster",
        ),
        Advice(
            "training.max_steps", steps,
            f"{facts.images} images, each seen about "
            f"{steps * batch / max(1, facts.images):.0f} times",
        ),
        Advice("training.unfreezing_step", 20, "only the head is trained at first"),
        Advice(
            "training.lr_scheduler_params.multisteplr",
            {"milestone_steps": [steps // 2, steps * 3 // 4, steps * 9 // 10],
             "gamma": 0.4},
            "the learning rate decreases towards the end",
        ),
        Advice("training.optimizer", "AdamW", "our default, with the learning rate below"),
        Advice(
            "training.optimizer_params.learning_rate",
            round(2e-3 * (batch / 8) ** 0.5, 5),
            "0.002 for 8 images, growing with the square root",
        ),
        Advice(
            "training.uniform_heatmaps_for_nan_keypoints", facts.missing > 0,
            f"{100 * facts.missing:.2g} % of the points have no label: if that means not to be "
            "seen, true teaches it; if it was not checked, set it to false"
            if facts.missing
            else "every point is labelled",
        ),
    ]  # fmt: skip

    # The principal components of poses need more poses than body parts.
    enough = facts.images >= 2 * len(facts.bodyparts)
    losses = (
        ["temporal", *(["pca_singleview"] if enough else [])] if facts.videos else []
    )
    advice.append(
        Advice(
            "model.losses_to_use",
            [],
            f"to try against the labels alone: {losses}. They double the time, and what "
            "they gave in one example is in docs/training_measurements.md"
            if losses
            else "no videos for unsupervised losses",
        )
    )
    return advice


def cropzoom_pays(facts: ProjectFacts) -> bool:
    """Return whether the animal is so small in the image that cropzoom is recommended."""
    side = _side(facts)
    return bool(facts.animal_px * side / max(facts.height, facts.width) < 4 * SMALL)


def _side(facts: ProjectFacts) -> int:
    """Return the longer side of the input: the more points on an animal, the finer."""
    most = max(facts.height, facts.width)
    fine = 40 * len(facts.bodyparts) ** 0.5
    wish = most / 2 if np.isnan(facts.animal_px) else fine * most / facts.animal_px
    wish = min(max(wish, 128), most, 384 if facts.gpu_gb == 0 else 512)
    return next(side for side in SIDES if side >= wish - 32)


def _size(facts: ProjectFacts) -> dict[str, int]:
    """Return the input's size: the image's aspect, in multiples of 32."""
    side, most = _side(facts), max(facts.height, facts.width)

    def fitted(length: int) -> int:
        return max(64, -(-round(side * length / most) // 32) * 32)

    return {"height": fitted(facts.height), "width": fitted(facts.width)}


def _extent(labels: Labels) -> float:
    sizes = []
    for own in labels.points:
        visible = own[np.isfinite(own).all(axis=1)]
        if len(visible) > 1:
            sizes.append(float(np.ptp(visible, axis=0).max()))
    return float(np.median(sizes)) if sizes else float("nan")


def _opens(video: Path) -> bool:
    try:
        video_format(video)
    except DeviceError:
        return False
    return True


def gpu_memory_gb() -> float:
    """Return the memory of the GPU in GiB; 0: there is none."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    return float(torch.cuda.get_device_properties(0).total_memory / 2**30)
