"""Networks in a notebook: opened, and run over a whole video."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deeplabstream.api.pose_arrays import arrays_of, labelled
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.video_identity import VideoAnimals
from deeplabstream.offline.video_inference import predict as predict_video
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_opening import open_estimator, open_for_videos


def load_model(
    name: str | Path, *, runtime: str = "auto", threads: int = 0
) -> PoseEstimator:
    """Open a network, ready to run.

    Parameters
    ----------
    name : str or pathlib.Path
        A model folder, an ensemble of them, or the name of one in `models/`.
    runtime : str
        What computes: `cpu`, `cuda`, `openvino` and others (docs/models.md), or `auto`: the
        fastest whose poses equal the reference's. The first use on a computer measures.
    threads : int
        CPU threads; 0: the runtime chooses.

    Returns
    -------
    PoseEstimator
        `skeleton.bodyparts`: names of the body parts. `threshold`: confidence below which a
        point counts as not seen. `estimate(images)`: one `Pose` per image; images are
        uint8 arrays (height, width, 3), blue, green, red, or (height, width), and may
        differ in size. A `Pose` has `points` (animal, body part, 2) in pixels of the image,
        x right, y down, NaN: not found; and `confidence` (animal, body part), 0 to 1.
        Use it in one thread.

    Raises
    ------
    ModelError
        There is no such network, it is damaged, or the runtime can't run it.

    Examples
    --------
    >>> network = dls.load_model("openfield")
    >>> pose = network.estimate([image])[0]
    >>> print(network.skeleton.bodyparts, pose.seen(network.threshold).points)
    """
    return open_estimator(name, runtime, threads)


def predict(
    video: str | Path,
    model: str | Path | PoseEstimator,
    *,
    runtime: str = "auto",
    threads: int = 0,
    batch: int = 0,
    individuals: Sequence[str] = (),
) -> Any:
    """Run a network over every frame of a video.

    Parameters
    ----------
    video : str or pathlib.Path
        Any container and codec that FFmpeg reads.
    model : str, pathlib.Path or PoseEstimator
        As `load_model` takes it, or what that returned. A network given by name runs in
        several copies; a context network gets the neighbouring frames.
    runtime : str
        See `load_model`; used when `model` is a name.
    threads : int
        CPU threads; 0: all cores. Used when `model` is a name.
    batch : int
        Frames that the network gets at once; 0: one, on a GPU eight.
    individuals : sequence of str
        Names of the animals for a network of several; left out: animal1, animal2 and so on.

    Returns
    -------
    xarray.Dataset or PoseArrays
        See `PoseArrays.to_xarray`; PoseArrays where xarray is not installed. One row per
        frame; a frame that can't be decoded has NaN. Nothing is thresholded.

    Raises
    ------
    ModelError
        There is no such network, or it can't be run.
    DeviceError
        The file is not a readable video.
    DeepLabStreamError
        The video holds no frames.

    Examples
    --------
    >>> poses = dls.predict("mouse.mp4", model="openfield")
    >>> poses.position.sel(keypoints="snout", space="x").plot()
    """
    if isinstance(model, str | Path):
        open_one = partial(open_for_videos, model, runtime)
        estimator: PoseEstimator = open_parallel(open_one, threads)
        scorer = Path(model).name
    else:
        estimator, scorer = model, model.sha256[:8]
    found = predict_video(
        Path(video), estimator, scorer, batch=batch, animals=VideoAnimals(individuals)
    )
    poses = arrays_of(
        found.table, found.rows.rate, estimator.threshold, str(found.table.source)
    )
    return labelled(poses)
