"""Students: networks of increasing size, with their speed and accuracy."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.estimator import PoseEstimator, runs_on_gpu
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import TOLERANCE_PX, opened
from deeplabstream.pose.runtimes.quantisation import describe_trial, quantise
from deeplabstream.pose.runtimes.runtime_list import Runtime, check_runtime, present
from deeplabstream.pose.runtimes.runtime_selection import choose, measure
from deeplabstream.training.data.input_size import SIZES, fitting_like, parse_size
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    predict_images,
)

TINY = Fitting(height=128, width=160)
"""Approximate size of the smallest input."""
EIGHT_BITS = 4.0
"""Largest speed-up by 8 bits; networks that are too slow even then are not trained."""
MOST_UNSEEN = 0.05
"""Largest share of the teacher's points that a student may miss."""
INT8_TOLERANCE_PX = 1.0
"""Largest difference of an 8-bit network to full precision, px of the input."""
_SECONDS = 1.0
_FEWEST = 10
"""Fewest measured frames."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Architecture and input size of a student."""

    backbone: str
    """Empty: that of the start network."""
    stages: int
    fitting: Fitting
    start_from: str | None = None
    """Network that provides backbone and weights."""

    @property
    def name(self) -> str:
        """Name of the student's folder."""
        size = f"{self.fitting.width}x{self.fitting.height}"
        if self.start_from is not None:
            return f"{Path(self.start_from).stem}_{size}"
        short = f"_{self.stages}stages" if self.backbone.startswith("efficient") else ""
        return f"{self.backbone}{short}_{size}"


LADDER = (
    ("efficientnet_lite0", 4, TINY),
    ("efficientnet_lite0", 5, TINY),
    ("efficientnet_lite0", 4, SIZES["small"]),
    ("efficientnet_lite0", 5, SIZES["small"]),
    ("efficientnet_lite0", 4, SIZES["usual"]),
    ("efficientnet_lite0", 5, SIZES["usual"]),
    ("efficientnet_lite2", 5, SIZES["usual"]),
    ("efficientnet_lite2", 5, SIZES["fine"]),
)
"""Backbone, stages, and about how many pixels the input has: those with ImageNet weights."""
STARTED = (
    TINY,
    SIZES["small"],
    Fitting(height=192, width=256),
    Fitting(height=208, width=272),
    SIZES["usual"],
    SIZES["fine"],
)
"""About how many pixels the inputs of students have that start from a network."""


def candidates(images: Sequence[Path]) -> tuple[Candidate, ...]:
    """Return the students to choose from, with inputs in the shape of the images."""
    found = [
        Candidate(
            backbone, stages, fitting_like(images, size, 16 if stages == 4 else 32)
        )
        for backbone, stages, size in LADDER
    ]
    return tuple(dict.fromkeys(found))


def started(
    images: Sequence[Path], start_from: str, given: Sequence[Candidate]
) -> tuple[Candidate, ...]:
    """Return students of a start network with the sizes `given`, else those of `STARTED`.

    ModelError: training cannot start from it, or a student names a backbone.
    """
    from deeplabstream.training.networks.backbone import open_backbone
    from deeplabstream.training.start_network import open_start

    if named := [architecture.name for architecture in given if architecture.backbone]:
        raise ModelError(
            f"--students {named[0]}: with --start-from, name sizes alone, as in 224x160"
        )
    how = open_start(start_from).how
    multiple = open_backbone(how.backbone, how.stages).multiple
    sizes = [architecture.fitting for architecture in given] or [
        fitting_like(images, size, multiple) for size in STARTED
    ]
    return tuple(
        Candidate(how.backbone, how.stages, size, start_from)
        for size in dict.fromkeys(sizes)
    )


def parse_candidate(word: str) -> Candidate:
    """Return the student of `BACKBONE:WIDTHxHEIGHT` or `BACKBONE:STAGES:WIDTHxHEIGHT`.

    `WIDTHxHEIGHT` alone is for a start network. ModelError: it is none of these.
    """
    size = parse_size(word) if ":" not in word and word[:1].isdigit() else ""
    if not isinstance(size, str):
        return Candidate("", 5, size)
    backbone, *rest = word.split(":")
    if len(rest) in (1, 2) and (len(rest) == 1 or rest[0] in ("4", "5")):
        fitting = parse_size(rest[-1])
        if not isinstance(fitting, str):
            return Candidate(backbone, int(rest[0]) if len(rest) == 2 else 5, fitting)
    raise ModelError(
        f"--students {word}: expected BACKBONE:WIDTHxHEIGHT or BACKBONE:STAGES:WIDTHxHEIGHT, "
        "as in efficientnet_lite0:4:224x160"
    )


@dataclass(frozen=True, slots=True)
class Timing:
    """Time of a network per frame, with preparation and decoding."""

    ms: float
    """The value that is limited: CPU time with one thread, else `p50_ms`."""
    p50_ms: float
    """Median duration."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Distances of a network's points to labels."""

    points: int
    median_px: float
    p95_px: float
    not_seen: float
    """Share of the labelled points whose confidence is below the threshold."""


@dataclass(frozen=True, slots=True)
class Student:
    """A measured student in one runtime."""

    name: str
    folder: str
    runtime: str
    timing: Timing
    teacher: Errors
    """Distances to the teacher's labels in held-out frames."""
    hand: Errors | None = None
    """Distances to held-out manual labels."""
    check: Errors | None = None
    """Distances to manually placed points in the videos."""

    def missed(self, within_px: float, at_most_ms: float) -> list[str]:
        """Return a sentence for each limit that it misses."""
        px, ms, unseen = self.teacher.median_px, self.timing.ms, self.teacher.not_seen
        found = {
            f"the error is {px:.2f} px, not {within_px:g} px or less": px <= within_px,
            f"{unseen:.0%} of the teacher's points are below the student's threshold, "
            f"not {MOST_UNSEEN:.0%} or less": unseen <= MOST_UNSEEN,
            f"a frame takes {ms:.2f} ms, not {at_most_ms:g} ms or less": ms
            <= at_most_ms,
        }
        return [sentence for sentence, holds in found.items() if not holds]


def untrained_time(
    candidate: Candidate, skeleton: Skeleton, images: Sequence[Image], threads: int
) -> float:
    """Return the milliseconds of an untrained network in full precision."""
    from deeplabstream.training.model_export import export_untrained
    from deeplabstream.training.networks.pose_network import Architecture
    from deeplabstream.training.start_network import open_start

    how = Architecture(backbone=candidate.backbone, stages=candidate.stages)
    if candidate.start_from is not None:
        start = open_start(candidate.start_from)
        how = replace(start.how_with(skeleton.bodyparts), edges=(), views=1)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = export_untrained(
            skeleton, how, candidate.fitting, Path(folder, "model")
        )
        runtime = fastest(
            model, threads, ("int8", "bf16")
        )  # it has no points to compare
        return time_per_frame(opened(model, runtime, threads), images, threads).ms


def fastest(
    model: ModelFolder, threads: int, without: tuple[str, ...] = ("int8",)
) -> Runtime:
    """Return the fastest runtime whose points agree with full precision."""
    known = [name for name in present(model) if not name.endswith(without)]
    return choose(measure(model, known, threads, TOLERANCE_PX))


def time_per_frame(
    estimator: PoseEstimator, images: Sequence[Image], threads: int
) -> Timing:
    """Return the time from frame to pose.

    With one thread it is CPU time: other programs
    do not lengthen it. With several threads or a GPU it is the median duration.
    """
    estimator.estimate([images[0]])
    took: list[float] = []
    computed, began = time.process_time(), time.perf_counter()
    while len(took) < _FEWEST or time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        estimator.estimate([images[len(took) % len(images)]])
        took.append(time.perf_counter() - start)
    computed = (time.process_time() - computed) / len(took) * 1e3
    p50_ms = float(np.median(took)) * 1e3
    single = threads == 1 and not runs_on_gpu(estimator)
    return Timing(computed if single else p50_ms, p50_ms)


def errors(found: ImagePredictions, labels: Labels, threshold: float) -> Errors:
    """Return the distances to the labelled points."""
    away = found.distance(labels)
    known = np.isfinite(away)
    labelled = np.zeros(known.shape, np.bool_)
    for place, part in enumerate(found.bodyparts):
        if part in labels.skeleton.bodyparts:
            own = labels.points[:, labels.skeleton.bodyparts.index(part)]
            labelled[:, place] = np.isfinite(own).all(axis=1)
    median, p95 = np.percentile(away[known], [50, 95]) if known.any() else [np.nan] * 2
    unseen = ~(found.confidence >= threshold)[labelled]
    return Errors(
        int(labelled.sum()),
        float(median),
        float(p95),
        float(unseen.mean()) if len(unseen) else np.nan,
    )


def measured_errors(estimator: PoseEstimator, labels: Labels) -> Errors:
    """Return the distances of a network's points to labels."""
    found = predict_images(estimator, labels.images, labels.names)
    return errors(found, labels, estimator.threshold)


@dataclass(frozen=True, slots=True)
class References:
    """References for measuring students."""

    teacher: Labels
    hand: Labels | None
    check: Labels | None
    images: Sequence[Image]
    """Frames for measuring the time."""
    threads: int
    runtime: str
    """`auto`, or the name of a runtime."""


def measure_student(
    folder: Path,
    name: str,
    references: References,
    at_most_ms: float,
    images: NDArray[np.uint8],
    report: Callable[[str], object],
) -> list[Student]:
    """Return the student in full precision, and with 8 bits if that is too slow.

    `images` (n, height, width, 3) of the network's input are for the ranges of 8 bits.
    """
    model = load_model_folder(folder)
    threads = references.threads
    if references.runtime != "auto":
        return [_measured(model, name, check_runtime(references.runtime), references)]
    first = _measured(model, name, fastest(model, threads), references)
    if first.timing.ms <= at_most_ms:
        return [first]
    try:
        trials = quantise(model, images, INT8_TOLERANCE_PX)
    except ModelError as error:
        report(f"  8 bits: {error}")
        return [first]
    report(f"  8 bits: {describe_trial(trials[0])}")
    reduced = [runtime for runtime in present(model) if runtime.endswith("int8")]
    return [
        first,
        *(_measured(model, name, network, references) for network in reduced),
    ]


def images_of(images: Sequence[Image], fitting: Fitting) -> NDArray[np.uint8]:
    """Return frames as network input, (n, height, width, 3)."""
    fitted = np.empty((len(images), fitting.height, fitting.width, 3), np.uint8)
    for image, into in zip(images, fitted, strict=True):
        fitting.of(image.shape).place(image, into)
    return fitted


def _measured(
    model: ModelFolder, name: str, runtime: Runtime, references: References
) -> Student:
    estimator = opened(model, runtime, references.threads)
    timing = time_per_frame(estimator, references.images, references.threads)
    return Student(
        name,
        str(model.path),
        runtime,
        timing,
        measured_errors(estimator, references.teacher),
        *(
            None if labels is None else measured_errors(estimator, labels)
            for labels in (references.hand, references.check)
        ),
    )


def best(students: Sequence[Student], within_px: float, at_most_ms: float) -> Student:
    """Return the student that exceeds the limits least."""

    def excess(student: Student) -> float:
        return max(
            student.teacher.median_px / within_px,
            student.teacher.not_seen / MOST_UNSEEN,
            student.timing.ms / at_most_ms,
        )

    return min(students, key=excess)
