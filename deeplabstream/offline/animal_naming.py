"""Who is who in a video of several animals: see `deeplabstream.pose.tracking.identity`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.tracking.identity import Identity, Rules
from deeplabstream.video.video_reader import Picture, VideoReader


class Naming:
    """Brings the animals of one video into the order of their names, picture by picture."""

    def __init__(self, skeleton: Skeleton, threshold: float, rules: Rules) -> None:
        self.skeleton = skeleton
        self._identity = Identity(skeleton, threshold, rules)
        self.doubted = 0
        """Rows in which it is in doubt who is who."""
        self.exchanged = 0
        """Animals that had been exchanged, which was mended from then on."""

    def tell(self, picture: Picture, pose: Pose | None) -> Pose | None:
        """Return the pose of the next picture; None: there was none."""
        if pose is None or picture.image is None:
            return None
        told = self._identity.tell(picture.image, pose, picture.time_ns / 1e9)
        self.doubted += any(word.startswith("doubt") for word in told.identity)
        self.exchanged += told.identity.count("exchanged")
        return told


def naming_of(
    rows: VideoReader, estimator: PoseEstimator, names: Sequence[str], rules: Rules
) -> Naming | None:
    """Return what names the network's animals; None: it finds one, without a name.

    DeepLabStreamError: there are more names than animals.
    """
    grey = np.full(rows.form.shape, 127, rows.form.dtype)
    animals = len(estimator.estimate([grey])[0].points)
    if len(names) > animals:
        found = "one animal" if animals == 1 else f"{animals} animals at most"
        raise DeepLabStreamError(
            f"{len(names)} names, and the network finds {found}: {', '.join(names)}"
        )
    if animals == 1:
        return None
    skeleton = estimator.skeleton
    named = replace(skeleton, animals=tuple(names) or skeleton.named(animals))
    return Naming(named, estimator.threshold, rules)
