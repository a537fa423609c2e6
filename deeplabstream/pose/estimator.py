"""The protocol of pose estimators, and a wrapper that delegates to one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton


class PoseEstimator(Protocol):
    """A network that is ready to run, used in one thread; `open_estimator` gives one."""

    @property
    def skeleton(self) -> Skeleton:
        """Body parts that the network finds."""
        ...

    @property
    def threshold(self) -> float:
        """Confidence below which a point counts as not visible: see `Pose.seen`.

        For cameras with their own network: see
        `deeplabstream.pose.per_camera.thresholds_of`.
        """
        ...

    @property
    def provider(self) -> str:
        """Name of the execution provider, for example `CPUExecutionProvider`."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the network's file, for the record; empty when there is no file."""
        ...

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image: points and confidences of the network.

        Nothing is thresholded: a point that was not seen is a guess with a low
        confidence. Images may differ in size and be grey or BGR. `cameras` names the
        camera of each image, for estimators that follow the animal; empty: none does.
        """
        ...


@runtime_checkable
class WarmsUp(Protocol):
    """An estimator whose first call of each kind is slow."""

    def warm_up(self, batch: int = 1) -> None:
        """Run all operations once that are slow the first time, for batches of that size."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """An estimator or a network that reports which device computes."""

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        ...


def runs_on_gpu(estimator: PoseEstimator) -> bool:
    """Return whether a GPU computes; an estimator without `on_gpu` computes on the CPU."""
    return isinstance(estimator, OnDevice) and estimator.on_gpu


class EstimatorWrapper:
    """Wrapper that delegates to another estimator."""

    estimator: PoseEstimator
    """The wrapped estimator."""

    @property
    def skeleton(self) -> Skeleton:
        """Body parts that it finds."""
        return self.estimator.skeleton

    @property
    def threshold(self) -> float:
        """Confidence below which a point counts as not visible."""
        return self.estimator.threshold

    @property
    def provider(self) -> str:
        """Execution provider."""
        return self.estimator.provider

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        return runs_on_gpu(self.estimator)

    @property
    def sha256(self) -> str:
        """Checksum of the network's file."""
        return self.estimator.sha256
