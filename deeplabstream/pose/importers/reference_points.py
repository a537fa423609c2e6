"""Reference points: frames, and the points that the original program finds in them.

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
"""Peaks are tied if changing each value by up to this share makes another peak the highest."""
TRIES = 16
"""Number of random changes that are tried."""
MOST_TIED = 20
"""At most one in this number of points, or one, may be a tie, for each size of frames."""
LEAST_SURE = 0.05
"""Points with a lower confidence of the original are not compared."""
LEAST_POINTS = 4
"""Frames with fewer points above the threshold do not decide, where others have as many."""
_MOST_NAMED = 10
"""Largest number of differences that model.json lists."""


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
        self,
        model: ModelFolder,
        tolerance_px: float = TOLERANCE_PX,
        accept_differences: bool = False,
    ) -> dict[str, object]:
        """Compare the imported network's points with the original's.

        Points below the network's threshold, and frames in which the original finds fewer
        than `LEAST_POINTS` above it, do not decide, unless there are no others.

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
        accept_differences
            Return the points that are too far under `differences`; False: raise.

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

        # Networks do not identify animals: compare each with the nearest one.
        order = [match_animals(*pair) for pair in zip(self.points, found, strict=True)]
        points = np.stack(
            [own[places] for own, places in zip(found, order, strict=True)]
        )
        compared = self._deciding(model)
        away = np.linalg.norm(points - self.points, axis=3)
        away[~np.isfinite(away)] = np.inf  # animals that were not found
        limits = np.array(
            [
                tolerance_px / float(model.fitting.of(shape).scales(shape).min())
                for shape in (frame.shape[:2] for frame in self.frames)
            ]
        )

        # Too far is allowed only for tied peaks, which is checked frame by frame.
        far = compared & ~(away <= limits[:, None, None])
        unexplained = np.zeros_like(far)
        for place in np.flatnonzero(far.any(axis=(1, 2))).tolist():
            unexplained[place] = self._unexplained(
                model, network, place, far[place], float(limits[place])
            )
        differences = [
            f"{self._difference(model, place, float(away[place]))}; up to "
            f"{limits[place[0]]:.2g} px are allowed ({tolerance_px:g} px of its input)"
            for place in map(tuple, np.argwhere(unexplained).tolist())
        ]
        sizes: dict[str, object] = {}
        count = len(differences)
        for size in dict.fromkeys(frame.shape[:2] for frame in self.frames):
            these = np.array([frame.shape[:2] == size for frame in self.frames])
            apart = away[these][compared[these]]
            if not apart.size:
                continue
            limit = float(limits[these][0])
            sizes[f"{size[1]}x{size[0]}"] = {
                **_distances(apart),
                "limit_px": round(limit, 4),
            }
            tied = int((far & ~unexplained)[these].sum())
            if tied > max(1, apart.size // MOST_TIED):
                count += tied
                differences.append(
                    f"in frames of {size[1]}x{size[0]}, {tied} of {apart.size} points are "
                    f"more than {limit:.2g} px from where the original finds them. Tied "
                    "peaks or rounding explain each, but so many show nothing: run the "
                    "script of the other program with --video"
                )
        if differences and not accept_differences:
            raise ModelError(
                f"{model.path}: {differences[0]}. The network is not imported: --tolerance "
                "sets another limit, --accept-differences imports it and notes the "
                "differences"
            )

        apart = away[compared]
        summary: dict[str, object] = {
            **_distances(apart),
            "max_px": round(float(apart.max(where=apart < np.inf, initial=0)), 4),
            "tolerance_px": tolerance_px,
            "tied": int((far & ~unexplained).sum()),
            "sizes": sizes,
        }
        if differences:
            summary["differences"] = {
                "points": count,
                "named": differences[:_MOST_NAMED],
            }
        if model.animals > 1:
            more = np.isfinite(points[..., 0]) & np.isnan(self.points[..., 0])
            summary |= {"missed": int(np.isinf(apart).sum()), "more": int(more.sum())}
        return summary

    def _deciding(self, model: ModelFolder) -> NDArray[np.bool_]:
        """Return which points (n, animal, bodypart) decide; ModelError: there are none."""
        compared = np.isfinite(self.points).all(axis=3)
        compared &= self.confidences >= LEAST_SURE  # others are noise to both networks
        if not compared.any():
            raise ModelError(
                f"{model.path}: the original finds no body part in the frames of the "
                "reference, so nothing can be compared; run its script with --video"
            )
        sure = compared & (self.confidences >= model.threshold)
        sure &= sure.sum(axis=(1, 2), keepdims=True) >= LEAST_POINTS
        return sure if sure.any() else compared

    def _unexplained(
        self,
        model: ModelFolder,
        network: OnnxNetwork,
        place: int,
        far: NDArray[np.bool_],
        limit: float,
    ) -> NDArray[np.bool_]:
        """Return the far points (animal, bodypart) of a frame that no tied peaks explain."""
        row = self.frames if model.frames > 1 else [self.frames[place]]
        own = place if model.frames > 1 else 0
        others = np.stack(list(_alternatives(model, network, row, own)))
        unexplained = far.copy()
        for animal, part in np.argwhere(far).tolist():
            ends = others[:, :, part].reshape(-1, 2)
            # On a line between tied peaks: some programs take their mean.
            away = _distance_to_lines(
                self.points[place, animal, part], ends[np.isfinite(ends).all(axis=1)]
            )
            unexplained[animal, part] = away > limit
        return unexplained

    def _difference(self, model: ModelFolder, place: tuple[int, ...], px: float) -> str:
        """Return where a point (frame, animal, bodypart) is that is too far."""
        frame, _, part = place
        height, width = self.frames[frame].shape[:2]
        far_by = f"is {px:.2g} px" if np.isfinite(px) else "was not found, so it is far"
        return (
            f"{model.skeleton.bodyparts[part]} in frame {frame} ({width}x{height}) "
            f"{far_by} from where the original finds it, and no tied peak explains that"
        )

    def fitted(self, fitting: Fitting) -> NDArray[np.uint8]:
        """Return the frames (n, height, width, 3), fitted to a network's input."""
        into = np.empty((len(self.frames), fitting.height, fitting.width, 3), np.uint8)
        for frame, place in zip(self.frames, into, strict=True):
            fitting.place(frame, place)
        return into


def _distances(apart: NDArray[np.float32]) -> dict[str, object]:
    """Return number, median and 95th percentile of distances, px; of those found."""
    found = apart[np.isfinite(apart)]
    if not len(found):
        return {"points": int(apart.size), "median_px": None, "p95_px": None}
    median, p95 = np.percentile(found, [50, 95], method="higher").tolist()
    return {
        "points": int(apart.size),
        "median_px": round(median, 4),
        "p95_px": round(p95, 4),
    }


def _alternatives(
    model: ModelFolder, network: OnnxNetwork, frames: Sequence[Image], place: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the points (animal, bodypart, 2) in a frame that result from changed maps, px.

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
    """Return the content of the file; nothing is unpickled. ModelError: it is invalid."""
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
