"""Reading of JABS' pose files (`_pose_est_v2.h5` to `_v8.h5`) of the Jackson Laboratory.

Points are stored as y, x. From version 4 on, `instance_embed_id` numbers the animals from 1,
where `id_mask` is false; version 3 has tracks only, version 2 a single animal.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.hdf5 import open_hdf5, whole
from deeplabstream.recording.pose_table import PoseTable, pose_table

SCORER = "JABS"
PARTS = (
    "NOSE",
    "LEFT_EAR",
    "RIGHT_EAR",
    "BASE_NECK",
    "LEFT_FRONT_PAW",
    "RIGHT_FRONT_PAW",
    "CENTER_SPINE",
    "LEFT_REAR_PAW",
    "RIGHT_REAR_PAW",
    "BASE_TAIL",
    "MID_TAIL",
    "TIP_TAIL",
)
"""Body parts, in the order in which they are stored."""
_CHAINS = (
    ("NOSE", "BASE_NECK", "CENTER_SPINE", "BASE_TAIL", "MID_TAIL", "TIP_TAIL"),
    ("LEFT_FRONT_PAW", "CENTER_SPINE", "RIGHT_FRONT_PAW"),
    ("LEFT_REAR_PAW", "BASE_TAIL", "RIGHT_REAR_PAW"),
)
EDGES = tuple(edge for chain in _CHAINS for edge in pairwise(chain))
"""Lines between body parts, as JABS draws them (`FULL_CONNECTED_SEGMENTS`)."""


def read_jabs_file(file: Path) -> PoseTable:
    """Return the poses of a file of JABS; ValueError, OSError: it can't be read.

    DeepLabStreamError: it has tracks that were not joined to animals. A confidence is that
    of the file, 1 where it is larger.
    """
    with open_hdf5(file) as content:
        held = {
            name: whole(content["poseest"][name])
            for name in (
                "points",
                "confidence",
                "instance_count",
                "instance_track_id",
                "instance_embed_id",
                "id_mask",
            )
            if name in content["poseest"]
        }
    points, confidence = held["points"], held["confidence"]
    if points.ndim == 3:  # version 2
        points, confidence = points[:, None], confidence[:, None]
    shape = points.shape[:2]
    if points.shape[2:] != (len(PARTS), 2) or confidence.shape != points.shape[:3]:
        raise ValueError("its points are not those of 12 body parts, y and x")

    animals = _animals(file, held, shape)
    if animals.shape != shape or not animals.size:
        raise ValueError("its animals and points differ in number")
    count = int(animals.max()) + 1
    if count < 1:
        raise DeepLabStreamError(f"{file} contains no poses")

    frames, instances = np.nonzero(animals >= 0)
    owners = animals[frames, instances]
    if len({*zip(frames.tolist(), owners.tolist(), strict=True)}) < len(frames):
        raise ValueError("it has an animal twice in a frame")
    placed = np.full((shape[0], count, len(PARTS), 2), np.nan)
    sure = np.zeros(placed.shape[:3])
    placed[frames, owners] = points[frames, instances, :, ::-1]
    sure[frames, owners] = np.clip(confidence[frames, instances], 0.0, 1.0)
    placed[sure == 0] = np.nan
    names = tuple(f"animal{number}" for number in range(1, count + 1))
    skeleton = Skeleton(PARTS, EDGES, animals=names if count > 1 else ())
    return pose_table(file, skeleton, placed, sure, SCORER)


def jabs_scale(file: Path) -> tuple[float, str] | None:
    """Return the scale of a file in mm per px, and its source; None: the file has none."""
    with open_hdf5(file) as content:
        held = content["poseest"].attrs
        try:
            scale = 10 * float(held["cm_per_pixel"])
        except (KeyError, TypeError, ValueError):
            return None
        source = str(held.get("cm_per_pixel_source", "unknown source"))
    return (scale, source) if 0 < scale < 1e6 else None


def _animals(
    file: Path, held: dict[str, NDArray[np.generic]], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return the animal (frame, instance) of each instance, from 0; -1: none."""
    if "instance_embed_id" in held and "id_mask" in held:
        numbers = held["instance_embed_id"].astype(np.int64) - 1
        return np.where(held["id_mask"].astype(bool), -1, numbers)
    if "instance_track_id" not in held or "instance_count" not in held:
        return np.zeros(shape, np.int64)
    counts = held["instance_count"].astype(np.int64)
    present = np.arange(shape[1]) < counts[:, None]
    tracks = held["instance_track_id"].astype(np.int64)
    known = np.unique(tracks[present])
    if len(known) > counts.max(initial=0):
        raise DeepLabStreamError(
            f"{file} has {len(known)} tracks of up to {counts.max()} animals: join them in "
            "JABS, which writes pose files of version 4 or later"
        )
    return np.where(present, np.searchsorted(known, tracks), -1)
