"""Labelled pictures as the network sees them, in memory, and how they are split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.pose import Skeleton
from pose.fitting import Fitting
from training.labels import Labels, LabelsError


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Pictures of the network's input size, and their points in its pixels."""

    skeleton: Skeleton
    fitting: Fitting
    pictures: NDArray[np.uint8]
    """(picture, height, width, 3), BGR."""
    points: NDArray[np.float32]
    """(picture, bodypart, 2), px of the input; NaN: not to be seen there."""
    known: NDArray[np.bool_]
    """(picture, bodypart); False: nothing is said about it, nothing is learned."""
    shapes: tuple[tuple[int, ...], ...]
    """The size that each picture had."""
    clips: tuple[str, ...]
    """The folder that each picture came from: one recording."""

    def __len__(self) -> int:
        return len(self.pictures)

    def pick(self, places: Sequence[int]) -> "Dataset":
        """Return the part of the data at `places`."""
        at = list(places)
        return Dataset(
            self.skeleton,
            self.fitting,
            self.pictures[at],
            self.points[at],
            self.known[at],
            tuple(self.shapes[i] for i in at),
            tuple(self.clips[i] for i in at),
        )

    def in_camera_px(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `points` (picture, bodypart, 2) in pixels of the original pictures."""
        pairs = zip(points, self.shapes, strict=True)
        return np.stack([self.fitting.to_image(xy, shape) for xy, shape in pairs])


def load_dataset(labels: Labels, fitting: Fitting) -> Dataset:
    """Read all pictures; LabelsError names every one that can't be read."""
    import cv2

    problems, shapes = [], []
    pictures = np.empty(
        (len(labels.images), fitting.height, fitting.width, 3), np.uint8
    )
    points = np.empty_like(labels.points)
    for place, file in enumerate(labels.images):
        content = np.frombuffer(file.read_bytes(), np.uint8)
        read = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        if read is None:
            problems.append(f"the picture {file} can't be read")
            continue
        image = np.asarray(read, np.uint8)
        fitting.place(image, pictures[place])
        points[place] = fitting.to_input(labels.points[place], image.shape)
        shapes.append(image.shape)
    if problems:
        raise LabelsError(problems)
    clips = tuple(file.parent.name for file in labels.images)
    return Dataset(
        labels.skeleton, fitting, pictures, points, labels.known, tuple(shapes), clips
    )


def split(data: Dataset, held_out: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return what to train on and what to measure with, `held_out` (0 to 1) of the data.

    Neighbouring frames of one recording are nearly the same picture, so they stay
    together: whole clips are held out where there are five or more, else the last part
    of each clip.
    """
    clips = sorted(set(data.clips))
    members = {c: [i for i, own in enumerate(data.clips) if own == c] for c in clips}
    if len(clips) >= 5:
        order = np.random.default_rng(seed).permutation(len(clips))
        out = {clips[i] for i in order[: max(1, round(held_out * len(clips)))]}
        test = [i for i, clip in enumerate(data.clips) if clip in out]
    else:
        test = [
            i
            for own in members.values()
            for i in own[len(own) - max(1, round(held_out * len(own))) :]
        ]
    train = [i for i in range(len(data)) if i not in set(test)]
    if not train:
        raise LabelsError(
            ["so many pictures are held out that none is left to train on"]
        )
    return data.pick(train), data.pick(test)


def fingerprint(labels: Labels) -> str:
    """Return the sha256 of the labels and all their pictures."""
    digest = hashlib.sha256(labels.file.read_bytes())
    for image in labels.images:
        digest.update(image.read_bytes())
    return digest.hexdigest()
