"""NWB files: poses of a run or a video as one file, by the extension ndx-pose.

Poses of a run are stored twice: by camera in the module `behavior`, where NWB expects them,
and by video in modules `SLEAP_VIDEO_…`, the only ones that sleap-io reads. Poses of a video are
stored once, in `behavior`: programs that read all pose estimations want one of each animal.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.pose_table import PoseTable

ANY_ANIMAL = "http://purl.obolibrary.org/obo/NCBITaxon_33208"
"""Species of animals whose species is not known: Metazoa, all animals."""
ANY_AGE = "P0D/"
"""Age of animals whose age is not known: 0 days or more."""
UNKNOWN_SEX = "U"


@dataclass(frozen=True, slots=True)
class NwbSubject:
    """The animal, as NWB describes it; empty: not known.

    NWB files have one subject. Of several animals, it stands for all of them.
    """

    animal: str = ""
    """Name or number of the animal; empty: the names of the animals in the poses."""
    species: str = ""
    """Latin name, such as `Mus musculus`."""
    sex: str = ""
    """M, F, O (other) or U (unknown)."""
    age: str = ""
    """Duration by ISO 8601: `P90D` is 90 days; a range is `P8W/P10W`."""
    group: str = ""
    in_arenas: str = ""
    """Arena and name of each of several animals: `A1 fly12, A2 fly13`."""

    @property
    def missing(self) -> list[str]:
        """Fields among species, sex and age that are not known."""
        return [word for word in ("species", "sex", "age") if not getattr(self, word)]


@dataclass(frozen=True, slots=True)
class NwbSession:
    """Description of a session in NWB."""

    about: str
    """Description of the session."""
    identifier: str
    """Unique name of the file."""
    started: datetime
    """Zero of all times."""
    subject: NwbSubject = NwbSubject()
    more: Mapping[str, Any] | None = None
    """Further fields of `pynwb.NWBFile`; those that are empty are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class NwbPoses:
    """Poses of one camera or video, and their description in NWB."""

    poses: PoseTable
    videos: Mapping[str, PoseTable | None]
    """The poses of each video by its file name; None: of all, in `poses` already."""
    version: str = ""
    """Version of the program that made the poses."""
    corrections: int = 0
    """Corrections that the poses have."""

    @property
    def origin(self) -> str:
        """Source of the points."""
        if self.corrections:
            few = (
                "1 correction"
                if self.corrections == 1
                else f"{self.corrections} corrections"
            )
            return f"as the network gave it, with {few} by hand"
        return "as the network gave it"

    @property
    def device(self) -> str:
        """Name of the camera, or `video`."""
        return nwb_name(self.poses.camera or "video")


def write_nwb(
    path: Path,
    session: NwbSession,
    sources: Sequence[NwbPoses],
    add: Callable[[Any], object] = lambda file: None,
) -> None:
    """Write poses of one skeleton as one NWB file.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.
    session : NwbSession
        Session and subject.
    sources : sequence of NwbPoses
        Cameras or videos, at least one. Each animal becomes one pose estimation. Points
        that are NaN stay NaN; confidences that are NaN become 0.
    add : callable
        Gets the `pynwb.NWBFile` before it is written, to add other data.

    Raises
    ------
    ImportError
        pynwb or ndx-pose is not installed.
    """
    with warnings.catch_warnings():
        # warnings about fields that other extensions lack
        warnings.simplefilter("ignore")
        from ndx_pose import Skeleton, Skeletons
        from pynwb import NWBHDF5IO, NWBFile

        more = {name: value for name, value in (session.more or {}).items() if value}
        file = NWBFile(
            session_description=session.about,
            identifier=session.identifier,
            session_start_time=session.started,
            keywords=["closed loop", "pose estimation"],
            subject=_subject(session.subject, sources[0].poses.animals),
            **more,
        )

        skeleton = sources[0].poses.skeleton
        parts = skeleton.bodyparts
        edges = [[parts.index(a), parts.index(b)] for a, b in skeleton.edges]
        nodes = Skeleton(name="skeleton", nodes=list(parts), edges=_pairs(edges))
        behavior = file.create_processing_module("behavior", "poses of each camera")
        behavior.add(Skeletons(skeletons=[nodes]))

        number = 0
        for source in sources:
            device = camera_device(file, source.device)
            animals = source.poses.animals
            ends = (
                [f"_{nwb_name(name)}" for name in animals] if len(animals) > 1 else [""]
            )
            names = [source.device + end for end in ends]
            videos = list(source.videos)
            _add_poses(behavior, names, source.poses, videos, source, device, nodes)

            # sleap-io reads only modules of this name, one for each video.
            for video, poses in source.videos.items():
                if poses is None:
                    continue
                name = f"SLEAP_VIDEO_{number:03}_{nwb_name(Path(video).stem)}"
                module = file.create_processing_module(
                    name, f"poses in {video}, a row for each of its frames"
                )
                names = [f"track{animal}" for animal in range(len(animals))]
                _add_poses(module, names, poses, [video], source, device, nodes)
                number += 1

        add(file)
        with NWBHDF5IO(str(path), "w") as writer:
            writer.write(file)


def nwb_name(text: str) -> str:
    """Return a text as the name of an object; NWB takes no / and no colon in it."""
    return re.sub("[/:]", "_", text)


def camera_device(file: Any, name: str) -> Any:
    """Return the device of a camera; it is made if there is none."""
    if name not in file.devices:
        file.create_device(name=name, description=f"camera {name}")
    return file.devices[name]


def timing(times_s: NDArray[np.float64]) -> dict[str, Any]:
    """Return the times of a series, as the arguments of `pynwb.TimeSeries`.

    Parameters
    ----------
    times_s : numpy.ndarray of float64, shape (frame,)
        Seconds.

    Returns
    -------
    dict
        `rate` and `starting_time` where all intervals are equal to the nanosecond, else
        `timestamps`.
    """
    gaps = np.round(np.diff(times_s), 9)
    if len(gaps) < 2 or gaps[0] <= 0 or np.ptp(gaps) > 0:
        return {"timestamps": times_s}
    rate = len(gaps) / (times_s[-1] - times_s[0])
    return {"rate": float(rate), "starting_time": float(times_s[0])}


def _subject(known: NwbSubject, animals: Sequence[str]) -> Any:
    from pynwb.file import Subject

    named = known.in_arenas or ", ".join(animals)
    about = f"{len(animals)} animals: {named}" if len(animals) > 1 else ""
    parts = [about, f"group {known.group}" if known.group else ""]
    return Subject(
        subject_id=(known.animal or "-".join(animals)).replace("/", "_"),
        species=known.species or ANY_ANIMAL,
        sex=known.sex or UNKNOWN_SEX,
        age=known.age or ANY_AGE,
        description="; ".join(word for word in parts if word) or "one animal",
    )


def _add_poses(
    module: Any,
    names: Sequence[str],
    poses: PoseTable,
    videos: Sequence[str],
    source: NwbPoses,
    device: Any,
    skeleton: Any,
) -> None:
    """Add the pose estimation of each animal to a module, by its name."""
    from ndx_pose import PoseEstimation, PoseEstimationSeries

    times = timing(poses.times_s)
    height, width = poses.size
    for animal, (name, own) in enumerate(zip(names, poses.animals, strict=True)):
        confidence = np.nan_to_num(poses.confidence[:, animal])
        series: list[Any] = []
        for part, bodypart in enumerate(poses.skeleton.bodyparts):
            made = PoseEstimationSeries(
                name=nwb_name(bodypart),
                description=f"{bodypart} of {own}, {source.origin}",
                data=poses.points[:, animal, part],
                unit="pixels",
                reference_frame="left upper corner of the image, x right, y down",
                confidence=confidence[:, part],
                confidence_definition="of the network; 0: the frame was not analysed",
                **times,
            )
            series.append(made)
            if "timestamps" in times:
                times = {"timestamps": made}  # the others refer to the first one
        module.add(
            PoseEstimation(
                name=name,
                pose_estimation_series=series,
                description=f"poses of {own}, seen by {source.device}",
                original_videos=list(videos),
                dimensions=_pairs([[width, height]]),
                devices=[device],
                scorer=poses.scorer,
                source_software="DeepLabStream",
                source_software_version=source.version or None,
                skeleton=skeleton,
            )
        )


def _pairs(pairs: list[list[int]]) -> NDArray[np.uint16]:
    return np.array(pairs, np.uint16).reshape(-1, 2)
