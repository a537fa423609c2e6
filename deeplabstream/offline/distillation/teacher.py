"""Teacher: networks that predict a frame, its augmented copies and its neighbours."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.ensemble import NetworkEnsemble, members
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_copies import SMALL_TURN_DEG, ImageCopy
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, open_estimator

VIEWS = ("frame", "mirrored", "rotated left", "rotated right", "before", "after")
"""Images that a teacher predicts: the frame, three copies of it, and its neighbours."""
IMAGE_COPIES = (
    ImageCopy(mirror=True),
    ImageCopy(turn_deg=SMALL_TURN_DEG),
    ImageCopy(turn_deg=-SMALL_TURN_DEG),
)
COPIES = 1 + len(IMAGE_COPIES)
"""Number of leading views that show the same moment."""

Points = NDArray[np.float32]
Opinions = NDArray[np.float32]
"""(…, network, view, body part, 3): x, y in px of the frame, confidence; NaN: no image."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """Networks with the same body parts that find one animal."""

    name: str
    networks: tuple[PoseEstimator, ...]
    licences: tuple[str, ...] = ()

    @property
    def skeleton(self) -> Skeleton:
        """Body parts and edges of the first network."""
        return self.networks[0].skeleton

    @property
    def sha256(self) -> str:
        """Checksum of all networks."""
        digests = "".join(network.sha256 for network in self.networks)
        return hashlib.sha256(digests.encode()).hexdigest()

    @property
    def estimator(self) -> PoseEstimator:
        """The networks as one estimator."""
        one = self.networks[0]
        return (
            one if len(self.networks) == 1 else NetworkEnsemble(self.networks, Path())
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the predictions for one frame."""
        parts = len(self.skeleton.bodyparts)
        return len(self.networks), len(VIEWS), parts, 3

    def look(
        self, image: Image, before: Image | None = None, after: Image | None = None
    ) -> Opinions:
        """Return the prediction of each network in each view, in px of `image`.

        Parameters
        ----------
        image : numpy.ndarray of uint8, shape (height, width) or (height, width, 3)
            The frame.
        before, after : numpy.ndarray of uint8, optional
            The frames beside it.

        Returns
        -------
        numpy.ndarray of float32, shape (network, view, body part, 3)
            x and y in px, confidence from 0 to 1. NaN: there is no such image, or no point.
        """
        height, width = image.shape[:2]
        images: list[Image] = [image, *(copy.image(image) for copy in IMAGE_COPIES)]
        images += [neighbour for neighbour in (before, after) if neighbour is not None]
        opinions = np.full(self.shape, np.nan, np.float32)
        views = [*range(COPIES)]
        views += [
            place
            for place, neighbour in ((COPIES, before), (COPIES + 1, after))
            if neighbour is not None
        ]
        for network, own in zip(opinions, self.networks, strict=True):
            for view, pose in zip(views, own.estimate(images), strict=True):
                network[view, :, :2] = pose.points[0]
                network[view, :, 2] = pose.confidence[0]
        for view, copy in enumerate(IMAGE_COPIES, start=1):
            found = opinions[:, view, copy.part_order(self.skeleton)]
            found[..., :2] = copy.original_points(found[..., :2], height, width)
            opinions[:, view] = found
        return opinions


@dataclass(frozen=True, slots=True)
class Teachers:
    """The teacher of each video: that of its camera, or the default one."""

    usual: Teacher | None
    cameras: dict[str, Teacher] = field(default_factory=dict)

    @property
    def every(self) -> list[Teacher]:
        """All teachers."""
        return [*([self.usual] if self.usual else []), *self.cameras.values()]

    @property
    def skeleton(self) -> Skeleton:
        """Body parts that all teachers have."""
        return self.every[0].skeleton

    @property
    def sha256(self) -> str:
        """Checksum of all networks, with their cameras."""
        digests = [f"{name}={teacher.sha256}" for name, teacher in self.cameras.items()]
        digests += [self.usual.sha256] if self.usual else []
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    @property
    def name(self) -> str:
        """Names of the networks, for labels and `model.json`."""
        return ", ".join(network.name for network in self.every)

    @property
    def licence(self) -> str:
        """Licences of the networks, for `model.json`; empty: none is named."""
        named = (licence for network in self.every for licence in network.licences)
        return "; ".join(dict.fromkeys(filter(None, named)))

    def of(self, video: Path) -> Teacher:
        """Return the teacher of a video; ModelError: there is none for its camera.

        A video belongs to the camera whose name it has, or with which its name ends after
        an underscore.
        """
        for camera, teacher in self.cameras.items():
            if video.stem == camera or video.stem.endswith(f"_{camera}"):
                return teacher
        if self.usual is None:
            raise ModelError(
                f"--teacher: none is for {video.name}; its name is not that of a camera "
                f"({', '.join(self.cameras)}) and does not end with _CAMERA. Add a network "
                "without a camera"
            )
        return self.usual


def open_teachers(
    models: Sequence[str], runtime: str = "auto", threads: int = 0
) -> Teachers:
    """Return the teachers of `MODEL …` and `CAMERA=MODEL …`.

    Several networks without a camera, and those of an ensemble's folder, are one teacher.
    ModelError: one cannot be opened, finds several animals or other body parts.
    """
    given: dict[str, list[str]] = {}
    for text in models:
        camera, sign, model = text.partition("=")
        own = bool(sign) and not Path(text).exists()
        given.setdefault(camera if own else "", []).append(model if own else text)
    opened = {camera: _open(paths, runtime, threads) for camera, paths in given.items()}
    first, *others = opened.values()
    for other in others:
        _check(first.skeleton, other.skeleton, other.name)
    return Teachers(opened.pop("", None), opened)


def _open(models: Sequence[str], runtime: str, threads: int) -> Teacher:
    networks: list[PoseEstimator] = []
    for model in models:
        estimator = open_estimator(model, runtime, threads)
        several: Sequence[PoseEstimator] = (estimator,)
        if isinstance(estimator, NetworkEnsemble):
            several = estimator.estimators
        for network in several:
            grey = np.full((64, 64, 3), 127, np.uint8)
            animals = len(network.estimate([grey])[0].points)
            if animals > 1:
                raise ModelError(
                    f"--teacher {model}: it finds {animals} animals; distillation supports "
                    "networks of one animal"
                )
            networks.append(network)
            _check(networks[0].skeleton, network.skeleton, model)
    name = " + ".join(Path(model).name for model in models)
    return Teacher(name, tuple(networks), tuple(_licences(models)))


def _licences(models: Sequence[str]) -> Iterator[str]:
    for model in models:
        folder = find_model(model)
        for member in members(folder) or [folder]:
            yield load_model_folder(member).licence


def _check(first: Skeleton, other: Skeleton, name: str) -> None:
    if first.bodyparts != other.bodyparts:
        raise ModelError(
            f"--teacher {name}: its body parts are {', '.join(other.bodyparts)}, those of "
            f"the first network {', '.join(first.bodyparts)}; all need the same in the same "
            "order"
        )
