"""Dataset of labelled images in memory, and its split."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.image_fitting import Fitting, ImageWindow, whole, zoomed
from deeplabstream.training.data.labels import Labels, LabelsError

FRAMES = 5
"""Frames that a context network takes; it finds the pose in the middle one."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images of the network's input size, and their points in its pixels."""

    skeleton: Skeleton
    fitting: Fitting
    images: NDArray[np.uint8]
    """(image, height, width, 3), BGR."""
    points: NDArray[np.float32]
    """(image, bodypart, 2), px of the input; NaN: not visible there. Of several
    animals one's body parts after the other's: (image, animal · bodypart, 2)."""
    known: NDArray[np.bool_]
    """(image, bodypart); False: unknown, not trained on."""
    windows: tuple[ImageWindow, ...]
    """The part of the original image that each input shows."""
    clips: tuple[str, ...]
    """The folder of each image: one recording."""
    context: NDArray[np.uint8] | None = None
    """(image, 5, height, width, 3): two frames before, itself, two after; None: not
    loaded. Or (image, view, height, width, 3): all cameras' images of that moment."""
    views: int = 1
    """Number of cameras; `windows` has one entry per image and view."""
    animals: int = 1
    """Largest number of animals in an image."""

    def __len__(self) -> int:
        return len(self.images)

    def pick(self, places: Sequence[int]) -> "Dataset":
        """Return the part of the data at `places`."""
        at = list(places)
        return Dataset(
            self.skeleton,
            self.fitting,
            self.images[at],
            self.points[at],
            self.known[at],
            tuple(
                self.windows[self.views * i + view]
                for i in at
                for view in range(self.views)
            ),
            tuple(self.clips[i] for i in at),
            None if self.context is None else self.context[at],
            self.views,
            self.animals,
        )

    def in_camera_px(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `points` (image, bodypart, 2) in pixels of the original images."""
        own = points.reshape(len(self.windows), -1, 2)
        pairs = zip(own, self.windows, strict=True)
        mapped = [window.to_image(xy) for xy, window in pairs]
        return np.stack(mapped).reshape(points.shape)


def load_dataset(
    labels: Labels,
    fitting: Fitting,
    context: bool = False,
    boxes: NDArray[np.float32] | None = None,
) -> Dataset:
    """Read all images; LabelsError names every one that can't be read.

    With `context` also the two before and the two after each, whose names differ from its
    by the last number in them; a missing one is replaced by the image itself. `boxes`
    (image, 2, 2), left upper and right lower corner in px, limit the network's input to
    that part, enlarged; NaN: the whole image.
    """
    problems: list[str] = []
    windows: list[ImageWindow] = []
    images = np.empty((len(labels.images), fitting.height, fitting.width, 3), np.uint8)
    points = np.empty_like(labels.points)

    image, last = None, None
    for place, file in enumerate(labels.images):
        if file != last:  # several windows of one image follow each other
            image, last = read_image(file), file
        if image is None:
            problems.append(f"the image {file} can't be read")
            continue

        box = None if boxes is None or np.isnan(boxes[place]).any() else boxes[place]
        window = (
            whole(image.shape, fitting)
            if box is None
            else zoomed(box[0], box[1], image.shape, fitting)
        )
        window.place(image, images[place])
        points[place] = window.to_input(labels.points[place])
        windows.append(window)
    if problems:
        raise LabelsError(problems)

    # Images of one folder are of one video: held-out sets are made of whole clips.
    clips = tuple(file.parent.as_posix() for file in labels.images)
    return Dataset(
        labels.skeleton,
        fitting,
        images,
        points,
        labels.known,
        tuple(windows),
        clips,
        _load_context(labels, windows, images) if context else None,
        animals=labels.animals,
    )


def neighbour(file: Path, away: int) -> Path:
    """Return the image `away` frames later, by the last number in its name.

    >>> neighbour(Path("07me-img055.png"), -2).name
    '07me-img053.png'
    """
    numbers = list(re.finditer(r"\d+", file.stem))
    if not numbers:
        return file
    last = numbers[-1]
    index = max(0, int(last[0]) + away)
    stem = (
        file.stem[: last.start()] + f"{index:0{len(last[0])}}" + file.stem[last.end() :]
    )
    return file.with_name(stem + file.suffix)


def _load_context(
    labels: Labels, windows: Sequence[ImageWindow], images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    reach = FRAMES // 2
    context = np.repeat(images[:, None], FRAMES, axis=1)
    for place, file in enumerate(labels.images):
        for away in range(-reach, reach + 1):
            beside = read_image(neighbour(file, away)) if away else None
            if beside is not None:
                windows[place].place(beside, context[place, away + reach])
    return context


@dataclass(frozen=True, slots=True)
class Parts:
    """Split of the images."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    """Used to choose weights and threshold."""
    test: tuple[int, ...] = ()
    """Used for measurement only, unless the validation images have too few points."""

    def sets(self, count: int) -> list[str]:
        """Return the name of each image's set."""
        names = ["unused"] * count
        for name in ("train", "validation", "test"):
            for place in getattr(self, name):
                names[place] = name
        return names


def split(images: Sequence[PurePath], held_out: float, seed: int) -> Parts:
    """Return what to train on and what to measure with, `held_out` (0 to 1) of all.

    Neighbouring frames of one recording are nearly the same image, so they stay
    together: whole clips (folders) are held out where there are five or more, or where
    each has one image; else the last part of each, by the numbers in the images' names.
    The rows of a table may be in another order. A clip keeps at least one image to train
    on, and at least one image is held out. LabelsError: fewer than two images.
    """
    if len(images) < 2:
        raise LabelsError(
            [
                f"{', '.join(map(str, images)) or 'no image'} is all that is labelled: at "
                "least two images are needed, to train on and to measure with; label more"
            ]
        )
    # The images of each clip, in the order of recording.
    members: dict[str, list[int]] = {}
    for place in sorted(range(len(images)), key=lambda at: image_order(images[at])):
        members.setdefault(images[place].parent.as_posix(), []).append(place)

    names = sorted(members)
    if len(names) >= 5 or len(names) == len(images):
        order = np.random.default_rng(seed).permutation(len(names))
        count = min(len(names) - 1, max(1, round(held_out * len(names))))
        out = {place for i in order[:count] for place in members[names[i]]}
    else:
        # The end of a clip differs most from the images before it.
        out = set()
        for own in members.values():
            count = min(len(own) - 1, max(1, round(held_out * len(own))))
            out.update(own[len(own) - count :])

    train = [place for place in range(len(images)) if place not in out]
    return Parts(tuple(train), tuple(sorted(out)))


def image_order(image: PurePath) -> list[str | int]:
    """Return a key that sorts images by the numbers in their names."""
    parts = re.split(r"(\d+)", image.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def split_at_random(
    count: int, train: float, validation: float, seed: int, frames: float = 1
) -> Parts:
    """Return Lightning Pose's split: `train` and `validation` are shares, the rest tests.

    Under 5 left over are trained on; one at least validates. `frames` limits the number
    of training frames, or (up to 1) their share. The same seed gives the
    same frames as there.
    """
    import torch

    # Every rounding here is Lightning Pose's: the split must be the same.
    sizes = [int(train * count), int(validation * count)]
    rest = count - sum(sizes)
    sizes = [sizes[0] + (rest if rest < 5 else 0), sizes[1], rest if rest >= 5 else 0]
    if sizes[1] == 0:
        sizes[0], sizes[1] = sizes[0] - 1, 1
    if sizes[0] < 1:
        raise LabelsError(
            ["at least two labelled images are needed: for training and for validation"]
        )
    order = torch.randperm(
        count, generator=torch.Generator().manual_seed(seed)
    ).tolist()
    kept = sizes[0] if frames == 1 else int(frames if frames > 1 else frames * sizes[0])
    return Parts(
        tuple(order[: max(1, min(kept, sizes[0]))]),
        tuple(order[sizes[0] : sizes[0] + sizes[1]]),
        tuple(order[sizes[0] + sizes[1] :]),
    )


def fingerprint(labels: Labels, views: NDArray[np.uint8] | None = None) -> str:
    """Return the sha256 of the labels and all their images; `views`: those of all cameras."""
    names = repr((labels.skeleton.bodyparts, labels.names))
    digest = hashlib.sha256(names.encode())
    for part in (labels.points, labels.known, *([] if views is None else [views])):
        digest.update(part.tobytes())
    for image in labels.images:
        digest.update(image.read_bytes())
    return digest.hexdigest()
