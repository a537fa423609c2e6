"""Training of cropzoom networks: a detector, and a network for a window around the animal.

Windows (`deeplabstream.pose.image_fitting`) are the same in training, in predictions
and live. Points are always in pixels of the whole image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import get_ident

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.filters.live_crop import MARGIN
from deeplabstream.pose.image_fitting import around
from deeplabstream.pose.model.model_folder import DETECTOR
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.training.data.dataset import load_dataset
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.training.start_network import detector_start
from deeplabstream.training.train_config import FitSettings
from deeplabstream.training.training_run import Run, TrainingResult, run_training


def run_cropzoom_training(
    run: Run, folder: Path, watch: Callable[[int], Callable[..., object]], resume: bool
) -> TrainingResult:
    """Train the detector, then the network on its windows; write one model folder.

    The network is trained in windows around the labels, and evaluated in windows around
    the detector's points. `watch` gives the callback for steps of the detector (0) and
    of the network (1).
    """
    detector = folder / DETECTOR
    if not (resume and (detector / "predictions.csv").is_file()):
        settings = replace(_for_detector(run.settings), clip_length=0)
        data = replace(run.data, context=None)
        first = replace(run, settings=settings, data=data, unlabelled=None)
        run_training(first, detector, watch(0), resume)
    finds = open_estimator(detector)
    found = predict_images(finds, run.labels.images, run.labels.names)
    seen = np.where(
        (found.confidence >= finds.threshold)[..., None], found.points, np.nan
    )
    own = boxes(run.labels.points)
    boxed = boxes(seen.astype(np.float32))
    boxed[list(run.parts.train)] = own[list(run.parts.train)]
    context = run.data.context is not None
    data = load_dataset(run.labels, run.data.fitting, context, boxed)
    more = run.unlabelled and replace(run.unlabelled, find=Finder(detector))
    closer = replace(run, data=data, unlabelled=more)
    return run_training(closer, folder, watch(1), resume)


def _for_detector(settings: FitSettings) -> FitSettings:
    """Return the settings of the detector: a smaller network, or the start network's."""
    own = settings.network
    if settings.start_from is None:
        simple = replace(own, kind="heatmap", stages=min(4, own.stages))
        return replace(settings, network=simple)
    start = detector_start(settings.start_from)
    if start is None:
        simple = Architecture(stages=4, sigma=own.sigma)
        return replace(settings, network=simple, start_from=None, imagenet=True)
    how = replace(start.how, kind="heatmap", edges=())
    return replace(settings, network=how, start_from=start.path, loss=start.loss)


def boxes(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes (image, 2, 2) with the usual margin around `points`.

    They are upper left and lower right corners, px; NaN where there is no point.
    """
    out = np.full((len(points), 2, 2), np.nan, np.float32)
    for place, own in enumerate(points):
        there = own[np.isfinite(own).all(axis=1)]
        if len(there):
            low, high = there.min(axis=0), there.max(axis=0)
            out[place] = around(low, high, MARGIN)
    return out


@dataclass
class Finder:
    """Finds the animal in a clip; can be sent to another process."""

    detector: Path
    """Model folder of the detector."""
    _estimators: dict[int, PoseEstimator] = field(
        default_factory=dict, init=False, repr=False
    )
    """One estimator for each thread, as each uses memory of its own."""

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32] | None:
        """Return one box (2, 2) around all points in the images, or None."""
        thread = get_ident()
        if thread not in self._estimators:
            self._estimators[thread] = open_estimator(self.detector, "cpu", 1)
        finds = self._estimators[thread]
        seen = [
            pose.points[0][pose.confidence[0] >= finds.threshold]
            for pose in finds.estimate(images)
        ]
        return boxes(np.concatenate(seen)[None])[0] if sum(map(len, seen)) else None
