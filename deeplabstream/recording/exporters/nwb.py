"""Poses as one NWB file: each track with its true times, by ndx-pose."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.exporters.planned_file import PlannedFile
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.timeline import analysed_cameras, timeline


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One animal as one camera saw it."""

    name: str
    device: str
    times_s: NDArray[np.floating]
    points: NDArray[np.floating]
    """(row, body part, 2), px; NaN: nothing there."""
    confidence: NDArray[np.floating]
    """(row, body part)."""
    videos: Sequence[str]
    size: tuple[int, int]
    """height, width in pixels."""
    scorer: str
    version: str = ""
    """Of the program that made the poses."""


def nwb(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan `run.nwb`: one row per frame, in pixels, seconds from Start Stream."""
    yield PlannedFile(into / "run.nwb", partial(_write_run, folder))


def _write_run(folder: RunFolder, path: Path) -> None:
    facts = folder.facts
    about = "closed-loop experiment, recorded by DeepLabStream"
    identifier = f"{folder.path.name} {facts['start_ns']}"
    tracks = [
        track
        for camera in analysed_cameras(folder)
        for track in _tracks(folder, camera)
    ]
    write_nwb(path, about, identifier, stream_start(facts), folder.skeleton, tracks)


def write_nwb(
    path: Path,
    about: str,
    identifier: str,
    started: datetime,
    skeleton: Skeleton,
    tracks: Sequence[Track],
) -> None:
    """Write one NWB file with all tracks, whose times count from `started`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what other laboratories' extensions lack
        from ndx_pose import Skeleton as Bones
        from ndx_pose import Skeletons
        from pynwb import NWBHDF5IO, NWBFile

        file = NWBFile(
            session_description=about,
            identifier=identifier,
            session_start_time=started,
        )
        parts = skeleton.bodyparts
        edges = [[parts.index(a), parts.index(b)] for a, b in skeleton.bones]
        bones = Bones(name="skeleton", nodes=list(parts), edges=_pairs(edges))
        behavior = file.create_processing_module("behavior", "poses as they were seen")
        behavior.add(Skeletons(skeletons=[bones]))
        for track in tracks:
            if track.device not in file.devices:
                file.create_device(name=track.device)
            device = file.devices[track.device]
            behavior.add(_estimation(track, parts, device, bones))
        with NWBHDF5IO(str(path), "w") as writer:
            writer.write(file)


def stream_start(facts: dict[str, Any]) -> datetime:
    """Return the moment from which time_s counts."""
    started = datetime.fromisoformat(facts["started"])
    since_ns = facts.get("started_ns", facts["start_ns"]) - facts["start_ns"]
    return started - timedelta(microseconds=since_ns // 1000)


def _tracks(folder: RunFolder, camera: str) -> Iterator[Track]:
    facts, frames = folder.facts, timeline(folder, camera)
    points, confidence = frames.points, frames.confidence
    form, model = facts["cameras"][camera]["shape"], facts["model"] or {}
    for animal, name in enumerate(frames.skeleton.named(frames.animals)):
        suffix = f"_{name}" if frames.animals > 1 else ""
        yield Track(
            name=f"{camera}{suffix}",
            device=camera,
            times_s=frames.rows["time_s"].to_numpy(),
            points=points[:, animal],
            confidence=confidence[:, animal],
            videos=[name for name in dict.fromkeys(frames.rows["video"]) if name],
            size=(form[0], form[1]),
            scorer=model.get("name") or "DeepLabStream",
            version=str(facts.get("application", "")),
        )


def _estimation(
    track: Track, bodyparts: Sequence[str], device: Any, skeleton: Any
) -> Any:
    from ndx_pose import PoseEstimation, PoseEstimationSeries

    series: list[Any] = []
    for part, name in enumerate(bodyparts):
        series.append(
            PoseEstimationSeries(
                name=name,
                description=f"{name}, as the network gave it",
                data=track.points[:, part],
                unit="pixels",
                reference_frame="left upper corner of the picture, x right, y down",
                timestamps=series[0] if series else track.times_s,
                confidence=track.confidence[:, part],
                confidence_definition="of the network; 0: the frame was not analysed",
            )
        )
    return PoseEstimation(
        name=track.name,
        pose_estimation_series=series,
        description=f"poses seen by {track.device}",
        original_videos=list(track.videos),
        dimensions=_pairs([[track.size[1], track.size[0]]]),
        devices=[device],
        scorer=track.scorer,
        source_software="DeepLabStream",
        source_software_version=track.version,
        skeleton=skeleton,
    )


def _pairs(pairs: list[list[int]]) -> Any:
    return np.array(pairs, np.uint16).reshape(-1, 2)
