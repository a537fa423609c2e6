"""Frames, and the points that the program which trained a network finds in them.

A script of `pose/importers/scripts` makes both in that program's own environment: frames of
several sizes, and its final points in their pixels. The imported network is compared from
frame to point, as live.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.files.numpy_files import read_arrays
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.importers.network_description import NetworkDescription
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.tracking.pose_matching import match_animals

REFERENCE = "reference.npz"
TOLERANCE_PX = 0.5
"""Largest distance to the original's point, in pixels of the network's input."""
TIED = 0.02
"""A map has tied peaks where a change of its values by up to this share of each makes
another peak the highest."""
TRIES = 16
"""Random changes that are tried."""
MOST_TIED = 20
"""At most one in this number of points, or one, may be a tie, for each size of frames."""
LEAST_SURE = 0.05
"""Points with a lower confidence of the original are not compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Original frames, and the other program's own poses in them."""

    frames: tuple[Image, ...]
    """Each (height, width, 3), BGR."""
    points: NDArray[np.float32]
    """(n, animal, bodypart, 2), pixels of the frames; NaN where it found nothing."""
    confidences: NDArray[np.float32]
    """(n, animal, bodypart), as that program gives them."""

    def check(
        self, model: ModelFolder, tolerance_px: float = TOLERANCE_PX
    ) -> dict[str, object]:
        """Compare the imported network's points with the original's.

        A point may be farther than the tolerance only where the maps have tied peaks: a
        change of the maps by `TIED` gives the original's point, or a point on the other
        side of it (Lightning Pose takes the mean of tied peaks). Coordinates may be
        farther only where a change of the frame by one grey level moves them as far.

        Parameters
        ----------
        model
            The imported network.
        tolerance_px
            Pixels of the network's input.

        Returns
        -------
        figures
            Distances in pixels of the frames, for the model folder.

        Raises
        ------
        ModelError
            With the body part, frame and distance of the first point that is too far.
        """
        network = OnnxNetwork(model, "cpu", 0)
        estimator = NetworkEstimator(model, network)
        if model.frames > 1:
            found = [pose.points for pose in estimator.estimate(self.frames)]
        else:
            found = [estimator.estimate([frame])[0].points for frame in self.frames]

        # Networks name no animals: compare each with the nearest one.
        order = [match_animals(*pair) for pair in zip(self.points, found, strict=True)]
        points = np.stack(
            [own[places] for own, places in zip(found, order, strict=True)]
        )

        # Points below this confidence are noise, for both networks.
        compared = np.isfinite(self.points).all(axis=3)
        compared &= self.confidences >= LEAST_SURE
        if not compared.any():
            raise ModelError(
                f"{model.path}: the original finds no body part in the frames of the "
                "reference, so nothing can be compared; run its script with --video"
            )

        away = np.linalg.norm(points - self.points, axis=3)
        away[~np.isfinite(away)] = np.inf  # of several animals, those not found
        limits = np.array(
            [
                tolerance_px / float(model.fitting.of(shape).scales(shape).min())
                for shape in (frame.shape[:2] for frame in self.frames)
            ]
        )

        # Too far is allowed only for tied peaks, which is checked frame by frame.
        far = compared & ~(away <= limits[:, None, None])
        for place in np.flatnonzero(far.any(axis=(1, 2))).tolist():
            self._check_ties(
                model,
                network,
                place,
                far[place],
                away[place],
                float(limits[place]),
                tolerance_px,
            )
        sizes = {
            size: self._of_size(model, size, away, compared, far, limits)
            for size in dict.fromkeys(frame.shape[:2] for frame in self.frames)
        }

        apart = away[compared]
        median, p95 = np.percentile(apart, [50, 95], method="higher").tolist()
        summary: dict[str, object] = {
            "points": int(apart.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "max_px": round(float(apart[np.isfinite(apart)].max()), 4),
            "tolerance_px": tolerance_px,
            "tied": int(far.sum()),
            "sizes": {
                f"{wide}x{high}": own for (high, wide), own in sizes.items() if own
            },
        }
        if model.animals > 1:
            more = np.isfinite(points[..., 0]) & np.isnan(self.points[..., 0])
            summary |= {"missed": int(np.isinf(apart).sum()), "more": int(more.sum())}
        return summary

    def _check_ties(
        self,
        model: ModelFolder,
        network: OnnxNetwork,
        place: int,
        far: NDArray[np.bool_],
        away: NDArray[np.float32],
        limit: float,
        tolerance_px: float,
    ) -> None:
        """Raise ModelError unless tied peaks explain each far point of a frame.

        `far` and `away` (px) are (animal, bodypart), in the order of the reference.
        """
        row = self.frames if model.frames > 1 else [self.frames[place]]
        own = place if model.frames > 1 else 0
        others = np.stack(list(_alternatives(model, network, row, own)))
        for animal, part in np.argwhere(far).tolist():
            expected = self.points[place, animal, part]
            ends = others[:, :, part].reshape(-1, 2)
            # On a line between tied peaks: some programs take their mean.
            if (
                _distance_to_lines(expected, ends[np.isfinite(ends).all(axis=1)])
                <= limit
            ):
                continue

            height, width = self.frames[place].shape[:2]
            px = float(away[animal, part])
            far_by = (
                f"is {px:.2g} px" if np.isfinite(px) else "was not found, so it is far"
            )
            raise ModelError(
                f"{model.path}: {model.skeleton.bodyparts[part]} in frame {place} "
                f"({width}x{height}) {far_by} from where the original finds it, and "
                f"no tied peak explains that; up to {limit:.2g} px are allowed "
                f"({tolerance_px:g} px of its input; --tolerance sets another limit), so "
                "the network is not imported"
            )

    def _of_size(
        self,
        model: ModelFolder,
        size: tuple[int, ...],
        away: NDArray[np.float32],
        compared: NDArray[np.bool_],
        far: NDArray[np.bool_],
        limits: NDArray[np.float64],
    ) -> dict[str, object]:
        """Return the distances in the frames of one size; ModelError: too many ties."""
        these = np.array([frame.shape[:2] == size for frame in self.frames])
        apart = away[these][compared[these]]
        if not apart.size:
            return {}
        tied, limit = int(far[these].sum()), float(limits[these][0])
        if tied > max(1, apart.size // MOST_TIED):
            raise ModelError(
                f"{model.path}: in frames of {size[1]}x{size[0]}, {tied} of {apart.size} "
                f"points are more than {limit:.2g} px from where the original finds them. "
                "Tied peaks or rounding explain each, but so many show nothing: run the "
                "script of the other program with --video"
            )
        median, p95 = np.percentile(apart, [50, 95], method="higher").tolist()
        return {
            "points": int(apart.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "limit_px": round(limit, 4),
        }

    def fitted(self, fitting: Fitting) -> NDArray[np.uint8]:
        """Return the frames (n, height, width, 3), fitted to a network's input."""
        into = np.empty((len(self.frames), fitting.height, fitting.width, 3), np.uint8)
        for frame, place in zip(self.frames, into, strict=True):
            fitting.place(frame, place)
        return into


def _alternatives(
    model: ModelFolder, network: OnnxNetwork, frames: Sequence[Image], place: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the points (animal, bodypart, 2) in a frame that changed maps give, px.

    The first are those of the unchanged output, and of other variants of the decoder: the
    other program may group body parts otherwise. Coordinates have no maps: there, pixels of
    the input are changed by up to one grey level, as rounding does when frames are resized.
    `frames` go through the network together; the points are those of frames[place].
    """
    frame = frames[place]
    fitting = model.fitting.of(frame.shape)
    image = np.empty((len(frames), fitting.height, fitting.width, 3), np.uint8)
    for frame, into in zip(frames, image, strict=True):
        fitting.place(frame, into)
    output = network.run(image)[place : place + 1].copy()
    variants = model.decoder.variants()
    for decoder in (model.decoder, *variants):
        yield fitting.to_image(decoder.decode(output)[0][0], frame.shape)
    rng = np.random.default_rng(0)
    for turn in range(TRIES):
        decoder = variants[turn % len(variants)]
        if not decoder.any_size:
            near = image + rng.integers(-1, 2, image.shape)
            found = decoder.decode(network.run(near.clip(0, 255).astype(np.uint8)))
            yield fitting.to_image(found[0][place], frame.shape)
            continue
        changed = output * (1 + TIED * rng.uniform(-1, 1, output.shape))
        yield fitting.to_image(
            decoder.decode(changed.astype(np.float32))[0][0], frame.shape
        )


def _distance_to_lines(point: NDArray[np.float32], ends: NDArray[np.float32]) -> float:
    """Return the distance of a point (2,) to the nearest line between two of `ends` (m, 2).

    Infinite when there are none.
    """
    if not len(ends):
        return float("inf")
    along = ends[None] - ends[:, None]
    length = np.maximum((along**2).sum(axis=2), 1e-12)
    share = (((point - ends)[:, None] * along).sum(axis=2) / length).clip(0, 1)
    nearest = ends[:, None] + share[..., None] * along
    return float(np.linalg.norm(nearest - point, axis=2).min())


def read_reference(file: Path, description: NetworkDescription) -> Reference:
    """Return what the file holds; nothing is unpickled. ModelError gives the reason."""
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

    # The file may come from another computer: its shapes must be those described.
    count, animals = len(frames), points.shape[1:2] if points.ndim == 4 else ()
    most = description.decoder().animals
    if animals and animals[0] > most:
        raise ModelError(
            f"{file} has points of {animals[0]} animals, but {most} are to be found: use "
            f"--animals {animals[0]}"
        )
    shape = (count, *animals, len(description.bodyparts))
    expected = {"points": (points, (*shape, 2)), "confidences": (confidences, shape)}
    for name, (array, wants) in expected.items():
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

    # Networks of one animal have no axis of animals; rows that are missing are NaN.
    shape = (count, animals[0] if animals else 1, len(description.bodyparts))
    more = [(0, 0), (0, most - shape[1]), (0, 0)]
    points = points.astype(np.float32).reshape(*shape, 2)
    return Reference(
        frames,
        np.pad(points, [*more, (0, 0)], constant_values=np.nan),
        np.pad(confidences.astype(np.float32).reshape(shape), more),
    )
