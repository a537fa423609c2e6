"""NWB export: poses of a run or a video as one file, by the extension ndx-pose."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import analysed_cameras, read_frames
from deeplabstream.recording.run_folder import RunFolder


@dataclass(frozen=True, slots=True, eq=False)
class NwbPoses:
    """Poses of one camera or video, and what NWB says about them."""

    poses: PoseTable
    videos: Sequence[str]
    """File names of the videos."""
    version: str = ""
    """Version of the program that made the poses."""

    @property
    def device(self) -> str:
        """Name of the camera, or `video`."""
        return self.poses.camera or "video"


def nwb(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan `run.nwb`: one row per frame, in pixels, seconds from Start Stream."""
    yield ExportFile(into / "run.nwb", partial(_write_run, folder))


def _write_run(folder: RunFolder, path: Path) -> None:
    facts = folder.facts
    about = "closed-loop experiment, recorded by DeepLabStream"
    identifier = f"{folder.path.name} {facts['start_ns']}"
    version = str(facts.get("application", ""))
    cameras = []
    for camera in analysed_cameras(folder):
        frames = read_frames(folder, camera)
        videos = [name for name in dict.fromkeys(frames.rows["video"]) if name]
        cameras.append(NwbPoses(frames.poses, videos, version))
    write_nwb(path, about, identifier, stream_start(facts), cameras)


def write_nwb(
    path: Path,
    about: str,
    identifier: str,
    started: datetime,
    sources: Sequence[NwbPoses],
) -> None:
    """Write poses of one skeleton as one NWB file.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.
    about : str
        Description of the session.
    identifier : str
        Unique name of the file.
    started : datetime.datetime
        Zero of the times in `sources`.
    sources : sequence of NwbPoses
        Cameras or videos, at least one. Each animal becomes one pose estimation. Points
        that are NaN stay NaN; confidences that are NaN become 0.

    Raises
    ------
    ImportError
        pynwb or ndx-pose is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what other laboratories' extensions lack
        from ndx_pose import Skeleton, Skeletons
        from pynwb import NWBHDF5IO, NWBFile

        file = NWBFile(
            session_description=about,
            identifier=identifier,
            session_start_time=started,
        )
        skeleton = sources[0].poses.skeleton
        parts = skeleton.bodyparts
        edges = [[parts.index(a), parts.index(b)] for a, b in skeleton.bones]
        nodes = Skeleton(name="skeleton", nodes=list(parts), edges=_pairs(edges))
        behavior = file.create_processing_module("behavior", "poses as they were seen")
        behavior.add(Skeletons(skeletons=[nodes]))
        for source in sources:
            if source.device not in file.devices:
                file.create_device(name=source.device)
            for animal in range(len(source.poses.animals)):
                behavior.add(
                    _estimation(source, animal, file.devices[source.device], nodes)
                )
        with NWBHDF5IO(str(path), "w") as writer:
            writer.write(file)


def stream_start(facts: dict[str, Any]) -> datetime:
    """Return the time of Start Stream, the zero of `time_s`."""
    started = datetime.fromisoformat(facts["started"])
    since_ns = facts.get("started_ns", facts["start_ns"]) - facts["start_ns"]
    return started - timedelta(microseconds=since_ns // 1000)


def _estimation(source: NwbPoses, animal: int, device: Any, skeleton: Any) -> Any:
    from ndx_pose import PoseEstimation, PoseEstimationSeries

    poses, animals = source.poses, source.poses.animals
    confidence = np.nan_to_num(poses.confidence[:, animal])
    series: list[Any] = []
    for part, name in enumerate(poses.skeleton.bodyparts):
        series.append(
            PoseEstimationSeries(
                name=name,
                description=f"{name}, as the network gave it",
                data=poses.points[:, animal, part],
                unit="pixels",
                reference_frame="left upper corner of the image, x right, y down",
                timestamps=series[0] if series else poses.times_s,
                confidence=confidence[:, part],
                confidence_definition="of the network; 0: the frame was not analysed",
            )
        )
    suffix = f"_{animals[animal]}" if len(animals) > 1 else ""
    height, width = poses.size
    return PoseEstimation(
        name=f"{source.device}{suffix}",
        pose_estimation_series=series,
        description=f"poses seen by {source.device}",
        original_videos=list(source.videos),
        dimensions=_pairs([[width, height]]),
        devices=[device],
        scorer=poses.scorer,
        source_software="DeepLabStream",
        source_software_version=source.version,
        skeleton=skeleton,
    )


def _pairs(pairs: list[list[int]]) -> NDArray[np.uint16]:
    return np.array(pairs, np.uint16).reshape(-1, 2)
