"""Background detector: finds animals without a network, where they differ from the background."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import Region
from deeplabstream.pose.background.background_model import BackgroundModel, Polarity
from deeplabstream.pose.background.body_direction import BodyDirection
from deeplabstream.pose.background.motion_evidence import MotionEvidence
from deeplabstream.pose.background.objects import Objects, find_objects
from deeplabstream.pose.background.pixel_areas import PixelAreas, pixel_areas
from deeplabstream.pose.filters.arena_crops import arenas_outside

BACKGROUND = "background"
"""MODEL of this detector."""
CENTRE = Skeleton(("centre",))
AXIS = Skeleton(("front", "centre", "back"), (("front", "centre"), ("centre", "back")))
RELEARN_SHARE = 0.5
"""Share of an area's pixels that differ, from which on its light has changed."""


@settings(frozen=True, kw_only=True)
class BackgroundSubtraction:
    """Detector of small animals without a network, used with `MODEL = background`."""

    polarity: Polarity = Field(
        default="dark",
        description="whether animals are darker or brighter than the background; both: "
        "some parts darker, others brighter",
    )
    threshold: float = Field(
        default=12.0,
        gt=0,
        description="smallest contrast of an animal's pixels, in multiples of the noise "
        "(median absolute deviation × 1.4826, at least one grey level)",
        title="Threshold (noise)",
    )
    min_area: int = Field(
        default=8,
        gt=0,
        description="smallest area of an animal, px²",
        title="Least area (px²)",
    )
    length_px: int = Field(
        default=25,
        ge=3,
        le=400,
        description="length of the longest animal, px: smaller spots of the first frame "
        "are animals, larger ones are background",
        title="Animal length (px)",
    )
    points: Literal["centre", "axis"] = Field(
        default="centre",
        description="centre: one body part, centre; axis: also front and back, the ends "
        "of the body; the front is the end that leads, unknown until the animal moves",
        title="Body parts",
    )
    adapt_frames: float = Field(
        default=500.0,
        ge=1,
        description="frames within which the background follows a slow change",
        title="Adaptation (frames)",
        json_schema_extra={"advanced": True},
    )

    @property
    def skeleton(self) -> Skeleton:
        """Body parts that are found."""
        return CENTRE if self.points == "centre" else AXIS


class BackgroundDetector:
    """Estimator without a network: the object of the most contrast in each area.

    With arenas, one animal is found in each, in their order. Without, the whole image is
    searched for `animals` objects, which have no identity. An animal that is not found is
    NaN, with confidence 0. `occupied` names the arenas that have an animal; empty: any may
    have one. Without names of `cameras` each image is searched alone; with
    them, the background is learned from frame to frame.
    """

    threshold = 0.5
    provider = "background subtraction"
    sha256 = ""

    def __init__(
        self,
        rules: BackgroundSubtraction,
        arenas: Mapping[str, Region] = MappingProxyType({}),
        animals: int = 1,
        occupied: Collection[str] = (),
    ) -> None:
        self._rules = rules
        self._arenas = arenas
        self._may_have = np.array([it in occupied or not occupied for it in arenas])
        self.animals = len(arenas) or animals
        """Number of animals in a pose."""
        self.skeleton = rules.skeleton
        self._cameras: dict[str, tuple[tuple[int, ...], _CameraDetector]] = {}

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image; ModelError: an arena lies beside a camera's image."""
        names = list(cameras) or [""] * len(images)
        return [
            self._pose(self._camera(image, name).find(_grey(image)))
            for image, name in zip(images, names, strict=True)
        ]

    def _camera(self, image: Image, name: str) -> "_CameraDetector":
        """Return the detector of a camera: a new one for a new image size."""
        shape, detector = self._cameras.get(name, ((), None))
        if detector is None or shape != image.shape[:2] or not name:
            regions = tuple(self._arenas.values())
            areas = pixel_areas(image.shape, regions)
            # one image alone has no motion
            evidence = (
                MotionEvidence(
                    areas,
                    self._may_have,
                    self._rules.length_px,
                    self._rules.polarity,
                )
                if name and areas.count > 1
                else None
            )
            detector = _CameraDetector(self._rules, areas, self.animals, evidence)
            if name:
                self._check(name, areas, image)
                self._cameras[name] = image.shape[:2], detector
        return detector

    def _check(self, camera: str, areas: PixelAreas, image: Image) -> None:
        """Raise ModelError if an arena has no pixel of a camera's image."""
        outside = [
            name
            for name, pixels in zip(self._arenas, areas.pixels.tolist(), strict=False)
            if not pixels
        ]
        if outside:
            raise arenas_outside(outside, camera, image)

    def _pose(self, points: NDArray[np.float64]) -> Pose:
        found = np.isfinite(points[..., 0]).astype(np.float32)
        return Pose(self.skeleton, points.astype(np.float32), found)


class _CameraDetector:
    """Detector of one camera, with what it learned from earlier frames."""

    def __init__(
        self,
        rules: BackgroundSubtraction,
        areas: PixelAreas,
        animals: int,
        evidence: MotionEvidence | None,
    ) -> None:
        self._rules = rules
        self._areas = areas
        self._animals = animals
        self._evidence = evidence
        self._background = BackgroundModel(
            self._areas,
            rules.polarity,
            rules.threshold,
            rules.length_px,
            rules.adapt_frames,
        )
        self._direction = BodyDirection(animals) if rules.points == "axis" else None

    def find(self, image: Image) -> NDArray[np.float64]:
        """Return the points (animal, body part, 2) of a grey image, px; NaN: not found."""
        contrast, differs = self._background.contrast(image)
        objects = find_objects(contrast, differs, self._areas)

        # the light was switched, or a hand covers the area
        per_area = np.bincount(
            objects.area, objects.pixels, self._areas.count
        )  # pixels that differ
        is_changed = per_area > RELEARN_SHARE * self._areas.pixels
        changed = np.flatnonzero(is_changed)
        candidates = np.flatnonzero(
            (objects.pixels >= self._rules.min_area) & ~is_changed[objects.area]
        )
        rows = self._chosen(objects, candidates)
        hidden = self._hidden(objects, rows, candidates, differs.shape)
        self._background.update(image, hidden)
        if len(changed):
            self._background.learn_again(image, changed.tolist())
            if self._evidence is not None:
                self._evidence.reset(changed)

        if self._evidence is not None and self._evidence.is_needed:
            below, floor = self._background.below(objects), self._background.floor()
            part, followed = self._areas.part(image), rows[rows >= 0]
            self._evidence.update(part, objects, followed, below)
            certain = self._evidence.accepted(objects, candidates, below, floor)
            rows = self._chosen(objects, certain)
        return self._points(objects, rows)

    def _chosen(
        self, objects: Objects, candidates: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Return the object of each animal, by its row; -1: none.

        An animal is the candidate of the most contrast in its area; without regions, animals
        are those of the most contrast in the image.
        """
        rows = np.full(self._animals, -1)
        taken = 0
        order = np.argsort(-objects.contrast[candidates], kind="stable")
        for row in candidates[order].tolist():
            area = int(objects.area[row])
            place = area if self._areas.count > 1 or self._animals == 1 else taken
            if place < self._animals and rows[place] < 0:
                rows[place] = row
                taken += 1
        return rows

    def _hidden(
        self,
        objects: Objects,
        rows: NDArray[np.intp],
        candidates: NDArray[np.intp],
        shape: tuple[int, ...],
    ) -> NDArray[np.uint8]:
        """Return (height, width): 255 where animals hide the background, with a margin.

        In an area with more candidates than animals some are background, but which ones is
        unknown: all are learned. An object that moves remains one.
        """
        import cv2

        count = np.bincount(objects.area[candidates], minlength=self._areas.count)
        most = 1 if self._areas.count > 1 else self._animals
        is_certain = count[objects.area] <= most
        hidden = np.zeros(shape, np.uint8)
        is_animal = (is_certain & np.isin(np.arange(len(objects)), rows))[
            objects.number
        ]
        y, x = objects.places
        hidden[y[is_animal], x[is_animal]] = 255
        # the blurred edge of an animal has less contrast than the threshold
        return np.asarray(cv2.dilate(hidden, np.ones((5, 5), np.uint8)), np.uint8)

    def _points(self, objects: Objects, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        found = rows >= 0
        centre = np.full((self._animals, 2), np.nan)
        centre[found] = objects.centre[rows[found]]
        if self._direction is None:
            return centre[:, None]
        half_axis = np.full((self._animals, 2), np.nan)
        half_axis[found] = objects.half_axis[rows[found]]
        front = self._direction.front(centre, half_axis)
        return np.stack([centre + front, centre, centre - front], axis=1)


def _grey(image: Image) -> Image:
    import cv2

    if image.ndim == 2:
        return image
    return cast("Image", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
