"""The International Brain Laboratory's video pipeline: its functions, files and numbers.

`lightning_pose`, `dlc` and `motion_energy` have the arguments and results of iblvideo's.
A pipeline file describes what is tracked, and how: see
`deeplabstream/offline/ibl/pipelines/ibl.ini`.
"""

import logging
from collections import OrderedDict
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.alf import files_of, save_array
from deeplabstream.offline.ibl.camera_prediction import Networks, Tracked, track
from deeplabstream.offline.ibl.camera_regions import Place, mean_places, motion_box
from deeplabstream.offline.ibl.motion_energy import Box, motion_energies
from deeplabstream.offline.ibl.pipeline import Pipeline, load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import networks_of
from deeplabstream.offline.ibl.region_merging import merged
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.video_inference import Watch
from deeplabstream.video.video_reader import open_video

_log = logging.getLogger("offline")

STEPS = ("Transform right camera", "Subsample video", "Detect ROIs")


def lightning_pose(
    mp4_file: str | Path,
    ckpts_path: str | Path | None = None,
    force: bool = False,
    create_labels: bool = False,
    remove_files: bool = True,
    *,
    pipeline: str | Path = "ibl",
    networks: Networks | None = None,
    watch: Watch = lambda done, rows: None,
) -> Path:
    """Track a left, right or body video; return the Parquet table in the session's alf/.

    `ckpts_path` is the folder with the pipeline's networks; left out, the pipeline's
    NETWORKS. An existing table is kept unless `force`. `create_labels` also
    makes a labelled video beside the raw one. An interrupted run continues;
    `remove_files` removes the files needed for that at the end. DeepLabStreamError names
    what is wrong or missing.
    """
    video, plan = Path(mp4_file), load_pipeline(pipeline)
    path, _ = _tracked(video, plan, ckpts_path, force, remove_files, networks, watch)
    if create_labels:
        label(video, path)
    return path


def dlc(
    file_mp4: str | Path,
    path_dlc: str | Path | None = None,
    force: bool = False,
    dlc_timer: "OrderedDict[str, float] | None" = None,
    *,
    pipeline: str | Path = "ibl_dlc",
    networks: Networks | None = None,
    watch: Watch = lambda done, rows: None,
) -> "tuple[Path, OrderedDict[str, float]]":
    """Track a video as IBL's DeepLabCut pipeline does; return its table, and times.

    `path_dlc` is the folder with the networks. The times, in seconds by step, are added
    to `dlc_timer`; all networks run in one pass, so that nothing is transformed before.
    """
    video, plan = Path(file_mp4), load_pipeline(pipeline)
    timer = OrderedDict() if dlc_timer is None else dlc_timer
    path, tracked = _tracked(video, plan, path_dlc, force, True, networks, watch)
    seconds = tracked.seconds if tracked else {}
    for name in dict.fromkeys([*STEPS, *seconds]):
        timer[name] = timer.get(name, 0.0) + seconds.get(name, 0.0)
    timer["DLC total"] = sum(
        value for name, value in timer.items() if name != "DLC total"
    )
    return path, timer


def motion_energy(
    file_mp4: str | Path,
    pose_pqt: str | Path,
    frames: int | None = 10000,
    *,
    pipeline: str | Path = "ibl",
    watch: Watch = lambda done, rows: None,
) -> tuple[Path, Path]:
    """Measure the camera's region; return the files of its energy and of its place.

    The region is placed by the poses of `pose_pqt`. One pass over the video, a frame at a
    time: `frames`, how many were once held in memory, does not matter. A region whose
    points were not found gives NaN and the position 0, 0, 0, 0, or an error if the
    pipeline's quirks require it.
    """
    video, plan = Path(file_mp4), load_pipeline(pipeline)
    camera = plan.camera_of(video)
    files, rows = files_of(video, camera), open_video(video)
    poses = read_poses(Path(pose_pqt))
    places: dict[str, Place] = mean_places(
        poses.skeleton.bodyparts,
        poses.points[:, 0],
        poses.confidence[:, 0],
        plan.general.likelihood,
    )
    names = plan.cameras[camera].motion
    if not names:
        raise DeepLabStreamError(f"[Camera {camera}] MOTION: region not set")
    found = {name: motion_box(name, plan, places, rows.form.shape) for name in names}
    for name in [name for name, box in found.items() if box is None]:
        text = f"{video.name}: region of motion energy {name} not found"
        if plan.quirks.missing_region == "compat":
            raise DeepLabStreamError(text)
        _log.warning("%s; it is NaN", text)
    boxes = {name: box for name, box in found.items() if box is not None}
    cut = {name: box[0] for name, box in boxes.items()}
    energies = motion_energies(rows, cut, watch=watch) if cut else {}
    written = [(files.motion_energy, files.motion_position)]
    written += [files.motion_of(name) for name in names[1:]]
    for name, (energy_file, place_file) in zip(names, written, strict=True):
        nowhere = Box(0, 0, 0, 0)
        place = boxes[name][1] if name in boxes else nowhere
        numbers = [place.width, place.height, place.x, place.y]
        save_array(place_file, np.array(numbers))
        save_array(energy_file, energies.get(name, np.full(len(rows), np.nan)))
    return written[0]


def label(video: Path, poses: Path) -> Path:
    """Make the labelled video of a table of poses, beside the video."""
    from deeplabstream.offline.rendering import Look, Shown, render

    path = video.with_name(f"{video.stem}.labeled.mp4")
    render(video, path, [Shown(read_poses(poses), threshold=0.9)], Look())
    return path


def _tracked(
    video: Path,
    plan: Pipeline,
    folder: str | Path | None,
    force: bool,
    remove_files: bool,
    networks: Networks | None,
    watch: Watch,
) -> tuple[Path, Tracked | None]:
    camera = plan.camera_of(video)
    files = files_of(video, camera)
    path = files.poses(plan.general.attribute)
    if path.is_file() and not force:
        return path, None
    if networks is None:
        networks = networks_of(plan, Path(folder) if folder else None)
    rows = open_video(video)
    if not len(rows):
        raise DeepLabStreamError(f"{video} contains no frames")
    try:
        files.alf.mkdir(parents=True, exist_ok=True)
        partial = files.alf / f".{path.stem}.partial"
        tracked = track(rows, camera, plan, networks, partial=partial, watch=watch)
        for note in tracked.notes:
            _log.warning("%s: %s", camera, note)
        missing = [poses.name for poses in tracked.regions if poses.crop is None]
        if missing and plan.quirks.missing_region == "compat":
            raise DeepLabStreamError(f"{video.name}: region {missing[0]} not found")
        with atomic_file(path) as making:
            merged(tracked, plan).to_parquet(making)
        if remove_files:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DeepLabStreamError(f"Can't write {files.alf}: {error}") from error
    return path, tracked
