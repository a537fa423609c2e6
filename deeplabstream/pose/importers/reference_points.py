"""Frames, and where the program that trained a network saw the body parts in them.

Both are made by that program in its own environment, by a script of
`pose/importers/scripts`: frames of several sizes, and its final points, in their pixels.
The imported network is compared from frame to point, as live.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.numpy_files import read_arrays
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.importers.network_description import Description
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.tracking.pose_matching import match_animals

REFERENCE = "reference.npz"
TOLERANCE_PX = 0.5
"""Input pixels within which 95 in 100 points must be where the original saw them."""
LEAST_SURE = 0.05
"""Points of which the original is less sure than this are not compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Original frames, and the other program's own poses in them."""

    frames: tuple[Image, ...]
    """Each (height, width, 3), BGR."""
    points: NDArray[np.float32]
    """(n, animal, bodypart, 2), pixels of the frames; NaN where it saw nothing."""
    confidences: NDArray[np.float32]
    """(n, animal, bodypart), as it says them."""

    def check(
        self, model: ModelFolder, tolerance_px: float = TOLERANCE_PX
    ) -> dict[str, object]:
        """Return how far the imported network's points are, in pixels of the frames.

        ModelError when, in any size of frames, more than 5 in 100, and more than one, are
        farther than `tolerance_px` pixels of the network's input: where two cells of a map
        are equally high, rounding decides.
        """
        estimator = NetworkEstimator(model, OnnxNetwork(model, "cpu", 0))
        found = [estimator.estimate([frame])[0].points for frame in self.frames]
        order = [match_animals(*pair) for pair in zip(self.points, found, strict=True)]
        points = np.stack(
            [own[places] for own, places in zip(found, order, strict=True)]
        )
        compared = np.isfinite(self.points).all(axis=3)
        compared &= self.confidences >= LEAST_SURE
        if not compared.any():
            raise ModelError(
                f"{model.path}: the original sees no body part in the frames of the "
                "reference, so nothing can be compared; give its script --video"
            )
        away = np.linalg.norm(points - self.points, axis=3)
        away[~np.isfinite(away)] = np.inf  # of several animals, those it does not find
        sizes = {
            size: self._of_size(model, size, away, compared, tolerance_px)
            for size in dict.fromkeys(frame.shape[:2] for frame in self.frames)
        }
        apart = away[compared]
        median, p95 = np.percentile(apart, [50, 95], method="higher").tolist()
        said: dict[str, object] = {
            "points": int(apart.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "max_px": round(float(apart[np.isfinite(apart)].max()), 4),
            "tolerance_px": tolerance_px,
            "sizes": {
                f"{wide}x{high}": own for (high, wide), own in sizes.items() if own
            },
        }
        if model.animals > 1:
            more = np.isfinite(points[..., 0]) & np.isnan(self.points[..., 0])
            said |= {"missed": int(np.isinf(apart).sum()), "more": int(more.sum())}
        return said

    def _of_size(
        self,
        model: ModelFolder,
        size: tuple[int, ...],
        away: NDArray[np.float32],
        compared: NDArray[np.bool_],
        tolerance_px: float,
    ) -> dict[str, object]:
        """Return how far points are in the frames of one size; ModelError: too far."""
        these = np.array([frame.shape[:2] == size for frame in self.frames])
        apart = away[these][compared[these]]
        if not apart.size:
            return {}
        median, p95 = np.percentile(apart, [50, 95], method="higher").tolist()
        limit = tolerance_px / float(model.fitting.of(size).scales(size).min())
        if (~(apart <= limit)).sum() > max(1, apart.size // 20):
            raise ModelError(
                f"{model.path}: in frames of {size[1]}x{size[0]}, half of the imported "
                f"network's points are more than {median:.2g} px, 5 in 100 more than "
                f"{p95:.2g} px from where the original sees them; up to {limit:.2g} px are "
                f"allowed ({tolerance_px:g} px of its input; --tolerance says another "
                "limit), so it is not imported"
            )
        return {
            "points": int(apart.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "limit_px": round(limit, 4),
        }

    def fitted(self, fitting: Fitting) -> NDArray[np.uint8]:
        """Return the frames (n, height, width, 3), brought to a network's input."""
        into = np.empty((len(self.frames), fitting.height, fitting.width, 3), np.uint8)
        for frame, place in zip(self.frames, into, strict=True):
            fitting.place(frame, place)
        return into


def read_reference(file: Path, words: Description) -> Reference:
    """Return what the file holds; nothing is unpickled. ModelError says what is wrong."""
    try:
        held = read_arrays(file)
        if "pictures" in held and "frame0" not in held:
            raise ModelError(
                f"{file} is of an earlier version of the script, which did not show "
                "how the original prepares frames: run the script of this version "
                "where the network was trained, and import what it writes"
            )
        points, confidences = held["points"], held["confidences"]
        frames = tuple(held[f"frame{place}"] for place in range(len(points)))
    except (ValueError, KeyError) as error:
        raise ModelError(f"{file} is damaged: {error}") from error
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror or error}") from error
    count, animals = len(frames), points.shape[1:2] if points.ndim == 4 else ()
    if animals and animals[0] > words.most:
        raise ModelError(
            f"{file} tells of {animals[0]} animals, and {words.most} are to be found: say "
            f"--animals {animals[0]}"
        )
    shape = (count, *animals, len(words.bodyparts))
    wanted = {"points": (points, (*shape, 2)), "confidences": (confidences, shape)}
    for name, (array, wants) in wanted.items():
        if array.shape != wants or not count:
            raise ModelError(
                f"{file} is damaged: {name} are {list(array.shape)}, and not {list(wants)} "
                "as the description says"
            )
    for place, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ModelError(
                f"{file} is damaged: frame{place} is {list(frame.shape)} of {frame.dtype}, "
                "not (height, width, 3) of uint8"
            )
    shape = (count, animals[0] if animals else 1, len(words.bodyparts))
    more = [(0, 0), (0, words.most - shape[1]), (0, 0)]
    points = points.astype(np.float32).reshape(*shape, 2)
    return Reference(
        frames,
        np.pad(points, [*more, (0, 0)], constant_values=np.nan),
        np.pad(confidences.astype(np.float32).reshape(shape), more),
    )
