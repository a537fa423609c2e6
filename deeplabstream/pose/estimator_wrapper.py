"""What stands before an estimator and is asked in its place."""

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.estimator import PoseEstimator


class EstimatorWrapper:
    """Says of the network what the estimator behind it says."""

    estimator: PoseEstimator
    """The one behind it."""

    @property
    def skeleton(self) -> Skeleton:
        """The body parts that it knows."""
        return self.estimator.skeleton

    @property
    def threshold(self) -> float:
        """The confidence below which a point counts as not seen."""
        return self.estimator.threshold

    @property
    def provider(self) -> str:
        """What computes."""
        return self.estimator.provider

    @property
    def sha256(self) -> str:
        """The fingerprint of the network's file."""
        return self.estimator.sha256
