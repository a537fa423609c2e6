"""Another network for some of the cameras."""

from collections.abc import Mapping, Sequence

from core.errors import ModelError
from core.frame import Image
from core.pose import Pose
from pose.batching import WarmsUp
from pose.estimator import PoseEstimator
from pose.front import Front


class PerCamera(Front):
    """Estimators by camera, and one for all others; pictures that share one are a batch.

    A rig's record has one skeleton and one threshold, so all must agree in both. `sha256` is
    that of the usual network; `provider` has the others'.
    """

    def __init__(
        self, usual: PoseEstimator, others: Mapping[str, PoseEstimator]
    ) -> None:
        """Keep them; ModelError when they do not agree."""
        for camera, estimator in others.items():
            title = f"[Camera {camera}] MODEL"
            if estimator.skeleton.bodyparts != usual.skeleton.bodyparts:
                raise ModelError(
                    f"{title}: all networks of a rig must know the same body parts in the "
                    f"same order: {', '.join(estimator.skeleton.bodyparts)}, not "
                    f"{', '.join(usual.skeleton.bodyparts)}"
                )
            if estimator.threshold != usual.threshold:
                raise ModelError(
                    f"{title}: all networks of a rig must have the same threshold: "
                    f"{estimator.threshold:g}, not {usual.threshold:g}; it is written in "
                    "the network's model.json"
                )
        self.estimator = usual
        self._others = dict(others)

    @property
    def provider(self) -> str:
        """What computes, camera by camera where it differs."""
        words = [
            f"{camera}: {other.sha256[:8]} by {other.provider}"
            for camera, other in self._others.items()
        ]
        return "; ".join([self.estimator.provider, *words])

    def of(self, camera: str) -> PoseEstimator:
        """Return the estimator of a camera."""
        return self._others.get(camera, self.estimator)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per picture, each by its camera's network."""
        names = list(cameras) or [""] * len(images)
        groups: dict[int, tuple[PoseEstimator, list[int]]] = {}
        for place, name in enumerate(names):
            estimator = self.of(name)
            groups.setdefault(id(estimator), (estimator, []))[1].append(place)
        poses: dict[int, Pose] = {}
        for estimator, places in groups.values():
            given = [images[i] for i in places], [names[i] for i in places]
            poses.update(zip(places, estimator.estimate(*given), strict=True))
        return [poses[i] for i in range(len(images))]

    def warm_up(self, batch: int = 1) -> None:
        """Warm all of them up, for batches of that size."""
        for estimator in {
            id(e): e for e in (self.estimator, *self._others.values())
        }.values():
            if isinstance(estimator, WarmsUp):
                estimator.warm_up(batch)
