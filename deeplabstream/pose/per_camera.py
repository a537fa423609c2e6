"""Networks of single cameras, besides the default network."""

from collections.abc import Mapping, Sequence

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Thresholds
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator, WarmsUp


class PerCamera(EstimatorWrapper):
    """One estimator for each camera that has its own, and one for all others.

    Frames that share an estimator are one batch. The record has one skeleton, so all
    must have the same; each has its own threshold. `sha256` and `threshold` are the
    usual network's; `provider` lists the others as well.
    """

    def __init__(
        self, usual: PoseEstimator, others: Mapping[str, PoseEstimator]
    ) -> None:
        """Store the estimators; ModelError when their body parts differ."""
        for camera, estimator in others.items():
            title = f"[Camera {camera}] MODEL"
            if estimator.skeleton.bodyparts != usual.skeleton.bodyparts:
                raise ModelError(
                    f"{title}: all networks of a rig need the same body parts in the "
                    f"same order: {', '.join(estimator.skeleton.bodyparts)}, not "
                    f"{', '.join(usual.skeleton.bodyparts)}"
                )
        self.estimator = usual
        self.others: Mapping[str, PoseEstimator] = dict(others)

    @property
    def provider(self) -> str:
        """Execution providers, by camera where they differ."""
        providers = [
            f"{camera}: {other.sha256[:8]} by {other.provider}"
            for camera, other in self.others.items()
        ]
        return "; ".join([self.estimator.provider, *providers])

    def of(self, camera: str) -> PoseEstimator:
        """Return the estimator of a camera."""
        return self.others.get(camera, self.estimator)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per frame, from the network of its camera."""
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
        """Warm up all networks for batches of that size."""
        for estimator in {
            id(e): e for e in (self.estimator, *self.others.values())
        }.values():
            if isinstance(estimator, WarmsUp):
                estimator.warm_up(batch)


def own_of(estimator: PoseEstimator) -> Mapping[str, PoseEstimator]:
    """Return the estimators of the cameras that have their own network."""
    while isinstance(estimator, EstimatorWrapper) and not isinstance(
        estimator, PerCamera
    ):
        estimator = estimator.estimator
    return estimator.others if isinstance(estimator, PerCamera) else {}


def thresholds_of(estimator: PoseEstimator) -> Thresholds:
    """Return the confidences below which points are not visible, by camera."""
    own = {name: other.threshold for name, other in own_of(estimator).items()}
    return Thresholds(estimator.threshold, own)
