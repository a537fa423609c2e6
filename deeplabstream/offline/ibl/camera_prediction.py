"""Prediction of one camera of a pipeline: its video once through all networks."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial as partial_
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Pose
from deeplabstream.offline.frame_windows import (
    HANDED,
    Window,
    batches,
    estimated,
    size_for,
    windows,
)
from deeplabstream.offline.ibl.camera_regions import Crop, Places, crop_of, mean_places
from deeplabstream.offline.ibl.motion_energy import Box
from deeplabstream.offline.ibl.pipeline import CameraPlan, CropRegion, Pipeline
from deeplabstream.offline.parallel import at_once
from deeplabstream.offline.prefetch import ahead, in_order
from deeplabstream.offline.video_inference import PartialRows, Watch
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.video.video_reader import VideoImage, VideoReader, sample_rows


class Stopwatch:
    """Total duration of each processing step, divided by the number of threads."""

    def __init__(self, threads: int) -> None:
        self.seconds: dict[str, float] = {}
        self._threads = threads
        self._clock = SystemClock()
        self._lock = Lock()

    def add(self, name: str, start_ns: int) -> None:
        """Add the time since `start_ns` to a step."""
        passed = (self._clock.now_ns() - start_ns) / 1e9 / self._threads
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + passed

    def now_ns(self) -> int:
        """Return the current time for `add`."""
        return self._clock.now_ns()


class Networks(Protocol):
    """Source of a pipeline's networks."""

    def matching(self, pattern: str) -> Sequence[PoseEstimator]:
        """Return the networks that match a name pattern, by name; empty: none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RegionPoses:
    """Predictions of the networks of one region."""

    name: str
    region: CropRegion
    crop: Crop | None
    """Crop; None: the region was not found, and all values are NaN."""
    bodyparts: tuple[str, ...]
    points: NDArray[np.float32]
    """(network, row, body part, 2), px of the crop; NaN where there was no image."""
    confidence: NDArray[np.float32]
    """(network, row, body part); NaN where there was no image."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """Predictions of the networks of one camera."""

    rows: VideoReader
    regions: list[RegionPoses]
    places: Places
    """Points from which the regions were computed, px of the (mirrored) image."""
    notes: list[str]
    """Warnings: a region not found, a wrong size or rate."""
    networks: dict[str, list[str]]
    """Fingerprints of each region's networks."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Duration of each step."""


def track(
    rows: VideoReader,
    camera: str,
    pipeline: Pipeline,
    networks: Networks,
    *,
    partial: Path | None = None,
    batch: int = 0,
    watch: Watch = lambda done, rows: None,
) -> Tracked:
    """Track one camera; ModelError when a network is missing or does not fit.

    With `partial` the rows made so far outlive a kill; the same work continues there.
    """
    plan = pipeline.cameras[camera]
    notes = fit_of(rows, camera, plan)
    members = {name: _members(pipeline, name, networks) for name in plan.regions}
    every = [network for several in members.values() for network in several]
    threads = min(map(at_once, every), default=1)
    size, reach = size_for(every, batch)
    timer = Stopwatch(threads)
    places = _places(rows, plan, pipeline, networks, timer, threads)
    crops: dict[str, Crop | None] = {}
    for name in plan.regions:
        region = pipeline.regions[name]
        crops[name] = crop_of(region, plan, places, rows.form.shape)
        if crops[name] is None:
            missing = ", ".join(part for part in region.anchor if part not in places)
            notes.append(
                f"region {name} not found ({missing} never exceeds likelihood "
                f"{pipeline.general.likelihood}); its points are NaN"
            )
    blocks = {
        name: (len(members[name]), len(members[name][0].skeleton.bodyparts))
        for name in plan.regions
    }
    width = sum(one * parts for one, parts in blocks.values())
    facts = _facts(rows, pipeline, crops, members)
    work = partial_(
        _estimated, members=members, crops=crops, blocks=blocks, timer=timer
    )
    with ExitStack() as files:
        place = partial or Path(
            files.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)), "rows"
        )
        kept = files.enter_context(PartialRows(place, facts, (width, 3)))
        watch(kept.rows, len(rows))
        first = kept.rows
        left = windows(rows.images(max(0, first - reach)), size, reach)
        decoded = files.enter_context(ahead(left, most=threads + 1))
        for row, made in files.enter_context(in_order(work, decoded, threads)):
            kept.append(made[max(0, first - row) :])
            watch(kept.rows, len(rows))
        values = kept.read()
    found, start = [], 0
    for name, (networks_, parts) in blocks.items():
        stop = start + networks_ * parts
        block = values[:, start:stop].reshape(-1, networks_, parts, 3).swapaxes(0, 1)
        start = stop
        bodyparts = members[name][0].skeleton.bodyparts
        region = pipeline.regions[name]
        found.append(
            RegionPoses(
                name, region, crops[name], bodyparts, block[..., :2], block[..., 2]
            )
        )
    prints = {
        name: [one.sha256 for one in several] for name, several in members.items()
    }
    return Tracked(rows, found, places, notes, prints, timer.seconds)


def fit_of(rows: VideoReader, camera: str, plan: CameraPlan) -> list[str]:
    """Return the differences of a video's size and rate from the pipeline's."""
    notes, (width, height) = [], plan.size
    if (rows.form.width, rows.form.height) != (width, height):
        notes.append(
            f"{rows.path.name} is {rows.form.width}×{rows.form.height}, but the "
            f"pipeline's {camera} camera is {width}×{height}: regions may be "
            "misplaced"
        )
    if abs(rows.rate - plan.rate) > max(1.0, 0.02 * plan.rate):
        notes.append(
            f"{rows.path.name} has {rows.rate:.2f} frames per second, but the "
            f"pipeline's {camera} camera has {plan.rate:g}"
        )
    return notes


def _members(
    pipeline: Pipeline, name: str, networks: Networks
) -> Sequence[PoseEstimator]:
    pattern = pipeline.regions[name].networks
    found = networks.matching(pattern)
    if not found:
        raise ModelError(f"[Region {name}] NETWORKS = {pattern}: no such network")
    for other in found[1:]:
        if other.skeleton.bodyparts != found[0].skeleton.bodyparts:
            raise ModelError(
                f"[Region {name}] NETWORKS = {pattern}: these networks have "
                "different body parts"
            )
    return found


def _places(
    rows: VideoReader,
    plan: CameraPlan,
    pipeline: Pipeline,
    networks: Networks,
    timer: Stopwatch,
    threads: int,
) -> dict[str, tuple[int, int]]:
    """Find the points that determine the regions, in frames of the whole video."""
    anchors = {a for name in plan.regions for a in pipeline.regions[name].anchor}
    if not anchors:
        return {}
    found = networks.matching(plan.detect)
    if not found:
        raise ModelError(f"DETECT = {plan.detect}: no such network")
    detector, general = found[0], pipeline.general
    if unknown := sorted(anchors - set(detector.skeleton.bodyparts)):
        raise ModelError(
            f"the network {plan.detect} has no body part {unknown[0]}, which "
            "places a region"
        )
    seconds = len(rows) / rows.rate if rows.rate else 0
    count = int(seconds * general.samples_per_second)
    count = min(max(count, general.samples_min), general.samples_max)
    whole = Crop(_whole(rows), (0, 0), plan.flip, 1)
    points, sure = [], []

    def look(several: list[VideoImage]) -> list[Pose]:
        start_ns = timer.now_ns()
        images = [whole.cut(p.image) for p in several if p.image is not None]
        poses = [pose for image in images for pose in detector.estimate([image])]
        timer.add("Detect ROIs", start_ns)
        return poses

    sample = batches(rows.images_at(sample_rows(rows, count)), HANDED)
    with ahead(sample, most=4) as decoded, in_order(look, decoded, threads) as seen:
        for pose in chain.from_iterable(seen):
            points.append(pose.points[0])
            sure.append(pose.confidence[0])
    if not points:
        return {}
    return mean_places(
        detector.skeleton.bodyparts,
        np.array(points),
        np.array(sure),
        general.likelihood,
    )


def _whole(rows: VideoReader) -> Box:
    return Box(0, 0, rows.form.width, rows.form.height)


def _estimated(
    window: Window,
    members: dict[str, Sequence[PoseEstimator]],
    crops: dict[str, Crop | None],
    blocks: dict[str, tuple[int, int]],
    timer: Stopwatch,
) -> tuple[int, NDArray[np.float32]]:
    """Return the first row and, from it on, (row, point, 3) of all regions' networks."""
    width = sum(one * parts for one, parts in blocks.values())
    values = np.full((len(window.selected), width, 3), np.nan, np.float32)
    start = 0
    for name, (count, parts) in blocks.items():
        crop = crops[name]
        if crop is None:
            start += count * parts
            continue
        start_ns = timer.now_ns()
        images = [
            p.image if p.image is None else crop.cut(p.image) for p in window.images
        ]
        timer.add(f"Prepare video for {name} network", start_ns)
        start_ns = timer.now_ns()
        for network in members[name]:
            for row, pose in enumerate(estimated(images, window, network)):
                if pose is not None:
                    values[row, start : start + parts, :2] = pose.points[0]
                    values[row, start : start + parts, 2] = pose.confidence[0]
            start += parts
        timer.add(f"Run {name} network", start_ns)
    return window.selected[0].row, values


def _facts(
    rows: VideoReader,
    pipeline: Pipeline,
    crops: dict[str, Crop | None],
    members: dict[str, Sequence[PoseEstimator]],
) -> dict[str, object]:
    """Return the facts that must be equal to reuse rows of an earlier run."""
    file = rows.path.stat()
    return {
        "video": rows.path.name,
        "bytes": file.st_size,
        "changed_ns": file.st_mtime_ns,
        "rows": len(rows),
        "pipeline": hashlib.sha256(pipeline.text.encode()).hexdigest(),
        "crops": {name: str(crop) for name, crop in crops.items()},
        "networks": {
            name: [n.sha256 for n in member] for name, member in members.items()
        },
    }
