"""Networks for whole videos, which may look at several pictures that follow each other."""

from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    load_model_folder,
)
from deeplabstream.pose.model.model_opening import find_model, open_estimator, opened

CONTEXT = "context"
"""Within a model folder: the network that looks at several pictures."""


def open_for_videos(
    name: str | Path, runtime: str = "auto", threads: int = 0
) -> PoseEstimator:
    """Return the estimator of that name, the one that looks at neighbours if there is.

    As `open_estimator`; pictures that are given at once must then follow each other. A
    cropzoom network looks at single pictures: its windows move.
    """
    try:
        folder = find_model(name)
    except ModelError:
        return open_estimator(name, runtime, threads)  # a stand-in, or nothing
    own = folder / CONTEXT if (folder / CONTEXT / DESCRIPTION).is_file() else folder
    alone = not (own / DESCRIPTION).is_file() or (folder / DETECTOR).is_dir()
    if alone or (model := load_model_folder(own)).frames == 1:
        return open_estimator(name, runtime, threads)
    return opened(model, runtime, threads)
