"""A run as one NWB file: poses of each camera with their true times, by ndx-pose."""

import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recording.run_folder import RunFolder
from recording.timeline import Timeline, analysed_cameras, timeline


def nwb(folder: RunFolder, into: Path) -> Iterator[Path]:
    """Write `run.nwb`: one row per frame, in pixels, seconds from Start Stream."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what other laboratories' extensions lack
        from ndx_pose import Skeleton, Skeletons
        from pynwb import NWBHDF5IO, NWBFile

        facts, skeleton = folder.facts, folder.skeleton
        file = NWBFile(
            session_description="closed-loop experiment, recorded by DeepLabStream",
            identifier=f"{folder.path.name} {facts['start_ns']}",
            session_start_time=stream_start(facts),
        )
        parts = skeleton.bodyparts
        edges = [[parts.index(a), parts.index(b)] for a, b in skeleton.bones]
        bones = Skeleton(name="skeleton", nodes=list(parts), edges=_pairs(edges))
        behavior = file.create_processing_module("behavior", "poses as they were seen")
        behavior.add(Skeletons(skeletons=[bones]))
        for camera in analysed_cameras(folder):
            device = file.create_device(name=camera)
            frames = timeline(folder, camera)
            for animal in range(frames.animals):
                behavior.add(_estimation(facts, frames, animal, device, bones))
        path = into / "run.nwb"
        with NWBHDF5IO(str(path), "w") as writer:
            writer.write(file)
    yield path


def stream_start(facts: dict[str, Any]) -> datetime:
    """Return the moment from which time_s counts."""
    started = datetime.fromisoformat(facts["started"])
    since_ns = facts.get("started_ns", facts["start_ns"]) - facts["start_ns"]
    return started - timedelta(microseconds=since_ns // 1000)


def _estimation(
    facts: dict[str, Any], frames: Timeline, animal: int, device: Any, skeleton: Any
) -> Any:
    from ndx_pose import PoseEstimation, PoseEstimationSeries

    points, confidence = frames.points, frames.confidence
    times = frames.rows["time_s"].to_numpy()
    series: list[Any] = []
    for part, name in enumerate(frames.bodyparts):
        series.append(
            PoseEstimationSeries(
                name=name,
                description=f"{name}, as the network gave it",
                data=points[:, animal, part],
                unit="pixels",
                reference_frame="left upper corner of the picture, x right, y down",
                timestamps=series[0] if series else times,
                confidence=confidence[:, animal, part],
                confidence_definition="of the network; 0: the frame was not analysed",
            )
        )
    model = facts["model"] or {}
    suffix = f"_animal{animal + 1}" if frames.animals > 1 else ""
    form = facts["cameras"][frames.camera]["shape"]
    return PoseEstimation(
        name=f"{frames.camera}{suffix}",
        pose_estimation_series=series,
        description=f"poses seen by camera {frames.camera}",
        original_videos=[name for name in dict.fromkeys(frames.rows["video"]) if name],
        dimensions=_pairs([[form[1], form[0]]]),
        devices=[device],
        scorer=model.get("name") or "DeepLabStream",
        source_software="DeepLabStream",
        source_software_version=str(facts.get("application", "")),
        skeleton=skeleton,
    )


def _pairs(pairs: list[list[int]]) -> Any:
    import numpy as np

    return np.array(pairs, np.uint16).reshape(-1, 2)
