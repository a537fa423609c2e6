"""Networks for white and for infrared light, of the same cameras."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator, WarmsUp

LightSource: TypeAlias = Literal["white", "infrared"]
"""Light of a camera's images, and the network that is made for it."""


class PerLight(EstimatorWrapper):
    """An estimator for white light and one for infrared light; `choose` switches a camera.

    Both are loaded, so a switch takes no time. They have the same body parts. The record has
    one threshold: the higher one, so that a point that either rejects is never seen.
    """

    def __init__(self, white: PoseEstimator, infrared: PoseEstimator) -> None:
        """Store the estimators; ModelError when their body parts differ."""
        if infrared.skeleton.bodyparts != white.skeleton.bodyparts:
            raise ModelError(
                "[Pose Estimation] INFRARED_MODEL: needs the body parts of MODEL in the same "
                f"order: {', '.join(infrared.skeleton.bodyparts)}, not "
                f"{', '.join(white.skeleton.bodyparts)}"
            )
        self.estimator, self.infrared = white, infrared
        self.usual: LightSource = "white"
        """Light of cameras for which none was chosen."""
        self._chosen: dict[str, LightSource] = {}

    @property
    def threshold(self) -> float:
        """The higher threshold."""
        return max(self.estimator.threshold, self.infrared.threshold)

    @property
    def provider(self) -> str:
        """Execution providers, where they differ by light."""
        white, infrared = self.estimator.provider, self.infrared.provider
        return white if white == infrared else f"{white}; infrared: {infrared}"

    def choose(self, camera: str, light: LightSource) -> None:
        """Use the network of a light for the next frames of a camera."""
        self._chosen[camera] = light

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, from the network for the light of its camera."""
        names = list(cameras) or [""] * len(images)
        lights = [self._chosen.get(name, self.usual) for name in names]
        poses: dict[int, Pose] = {}
        networks = (("white", self.estimator), ("infrared", self.infrared))
        for light, network in networks:
            # frames of the same light are one batch
            places = [place for place, its in enumerate(lights) if its == light]
            if places:
                given = [images[at] for at in places], [names[at] for at in places]
                found = network.estimate(given[0], given[1] if cameras else ())
                poses.update(zip(places, found, strict=True))
        return [poses[at] for at in range(len(images))]

    def warm_up(self, batch: int = 1) -> None:
        """Warm up both networks for batches of that size."""
        for network in (self.estimator, self.infrared):
            if isinstance(network, WarmsUp):
                network.warm_up(batch)


def per_light_of(estimator: PoseEstimator) -> PerLight | None:
    """Return the networks by light of an estimator; None: it has none."""
    while isinstance(estimator, EstimatorWrapper):
        if isinstance(estimator, PerLight):
            return estimator
        estimator = estimator.estimator
    return None
