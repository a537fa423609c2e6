"""Batches, each a function of the seed and its number, so that a resumed run repeats them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.image_fitting import ImageWindow
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.augmentation import apply, augment, augment_clip
from deeplabstream.training.data.clips import (
    Clip,
    ClipVideo,
    Find,
    Read,
    draw_clip,
    read_clip,
)
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.fit_settings import FitSettings


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images and targets of one step."""

    images: Tensor
    """(n, height, width, 3), or (n, 5, height, width, 3) for a context network."""
    targets: Tensor
    """Heat maps (n, bodypart, h, w) of height 1; zeros where there is nothing. Of several
    animals all, and the fields of their edges behind: (n, bodypart + 2 · edge, h, w)."""
    points: Tensor
    """(n, bodypart, 2) in input pixels; NaN: not visible. Of several animals (n, animal
    · bodypart, 2)."""
    weight: Tensor
    """(n, bodypart); 0: unknown, for one animal at least."""
    clip: Tensor | None = None
    """(frame, height, width, 3) of an unlabelled video."""
    matrix: Tensor | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    """Input pixels per camera pixel in the clip, along x and y."""
    corner: tuple[float, float] = (0.0, 0.0)
    """Origin of the clip's input in the camera's images, px."""

    def to(self, device: torch.device) -> "Batch":
        """Return the same on another device."""
        optional = [
            None if it is None else it.to(device, non_blocking=True)
            for it in (self.clip, self.matrix)
        ]
        return Batch(
            self.images.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.points.to(device, non_blocking=True),
            self.weight.to(device, non_blocking=True),
            optional[0],
            optional[1],
            self.scale,
            self.corner,
        )


class Batches:
    """The batches of one epoch after another; `state_dict` stores the position.

    `rank` of `world` processes gets its part of each batch.
    """

    def __init__(
        self,
        data: Dataset,
        settings: FitSettings,
        videos: tuple[ClipVideo, ...] = (),
        rank: int = 0,
        world: int = 1,
        find: Find | None = None,
        read: Read = read_clip,
    ) -> None:
        self.data, self.settings, self.videos = data, settings, videos
        self.find, self.read = find, read
        self.rank, self.world = rank, world
        self.decoder = training_decoder(data, settings.network)
        self.step = 0
        still = settings.augmentation.moved > 0
        self.scenes = backgrounds(data) if still else [None] * len(data)

    def __len__(self) -> int:
        return self.settings.epoch_steps(len(self.data))

    def state_dict(self) -> dict[str, Any]:
        """Return the position."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position."""
        self.step = int(state["step"])

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rest of the epoch; threads make batches ahead."""
        stop = (self.step // len(self) + 1) * len(self)
        workers = max(1, self.settings.workers)
        with ThreadPoolExecutor(workers) as pool:
            # Prepare only a few batches ahead: each holds its images in memory.
            ahead: deque[Future[Batch]] = deque()
            coming = iter(range(self.step, stop))
            for step in coming:
                ahead.append(pool.submit(self.make, step))
                if len(ahead) > workers:
                    yield self._next(ahead)
            while ahead:
                yield self._next(ahead)

    def _next(self, ahead: deque["Future[Batch]"]) -> Batch:
        ready = ahead.popleft().result()
        self.step += 1
        return ready

    def places(self, step: int) -> NDArray[np.int64]:
        """Return the images of a step: each occurs once before any occurs again."""
        # Each pass has its own permutation, from its number: a resumed training continues
        # with the same images without a stored random state.
        count, batch = len(self.data), self.settings.batch
        numbers = np.arange(step * batch, (step + 1) * batch)
        orders = {
            turn: np.random.default_rng((self.settings.seed, 1, turn)).permutation(
                count
            )
            for turn in set((numbers // count).tolist())
        }
        return np.array([orders[n // count][n % count] for n in numbers.tolist()])

    def make(self, step: int) -> Batch:
        """Return the batch of that number."""
        settings, data = self.settings, self.data
        # The seed depends on the index in the whole batch, so results do not depend on
        # `world`.
        mine = list(enumerate(self.places(step)))[self.rank :: self.world]
        changed = [
            self._changed(int(place), np.random.default_rng((settings.seed, step, own)))
            for own, place in mine
        ]
        images, points, known = map(np.stack, zip(*changed, strict=True))
        clip = self._clip(step)
        return to_batch(data, self.decoder, images, points, known, clip)

    def _changed(
        self, place: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
        how, data = self.settings.augmentation, self.data
        points, known = data.points[place], data.known[place]
        if self.settings.missing == "unknown":
            known = known & np.isfinite(points).all(axis=1)
        if data.context is not None and data.views > 1:
            views, matrix = augment_clip(how, data.context[place], points, rng)
            return views, apply(matrix, points), known
        change = partial(
            augment, how, data.skeleton, points=points, known=known,
            background=self.scenes[place],
        )  # fmt: skip
        if data.context is None:
            return change(data.images[place], rng=rng)
        frames = [
            change(frame, rng=deepcopy(rng))  # the same augmentation for all frames
            for frame in data.context[place]
        ]
        return np.stack([image for image, _, _ in frames]), *frames[0][1:]

    def _clip(self, step: int) -> Clip | None:
        if not (self.videos and self.settings.clip_length):
            return None
        rng = np.random.default_rng((self.settings.seed, 2, step, self.rank))
        return draw_clip(
            self.videos,
            self.settings.clip_length,
            self.data.fitting,
            self.settings.clip_augmentation,
            rng,
            self.find,
            self.read,
        )


class HeldOutBatches:
    """The held-out images without augmentation, in batches."""

    def __init__(self, data: Dataset, settings: FitSettings) -> None:
        self.data, self.settings = data, settings
        self.decoder = training_decoder(data, settings.network)

    def __len__(self) -> int:
        return -(-len(self.data) // self.settings.batch)

    def __iter__(self) -> Iterator[Batch]:
        """Yield each image once, in order."""
        size = self.settings.batch
        for start in range(0, len(self.data), size):
            part = self.data.pick(range(start, min(start + size, len(self.data))))
            images = part.images if part.context is None else part.context
            weight = part.known & (
                np.isfinite(part.points).all(axis=2)
                if self.settings.missing == "unknown"
                else True
            )
            yield to_batch(part, self.decoder, images, part.points, weight, None)


def to_batch(
    data: Dataset,
    decoder: Decoder,
    images: NDArray[np.uint8],
    points: NDArray[np.float32],
    weight: NDArray[np.bool_],
    clip: Clip | None,
) -> Batch:
    """Return a batch with the targets that `decoder` makes of the points.

    Parameters
    ----------
    data
        The dataset of the points: skeleton, input size and number of animals.
    decoder
        Makes the targets.
    images
        (n, height, width, 3), BGR, or (n, 5, height, width, 3) for a context network.
    points
        (n, animal · bodypart, 2), pixels of the images; NaN: not visible.
    weight
        (n, animal · bodypart): False where nothing is known.
    clip
        Unlabelled frames of a video; None: none.
    """
    animals = points.reshape(len(points), data.animals, -1, 2)
    targets = decoder.encode(animals, data.fitting.height, data.fitting.width)

    # All animals share the maps of a body part: one unknown point makes the maps
    # unknown.
    weight = np.asarray(weight.reshape(animals.shape[:3]).all(axis=1))
    return Batch(
        torch.from_numpy(images),
        torch.from_numpy(targets),
        torch.from_numpy(points),
        torch.from_numpy(weight.astype(np.float32)),
        None if clip is None else torch.from_numpy(clip.images),
        None if clip is None else torch.from_numpy(clip.matrix.astype(np.float32)),
        *(((1.0, 1.0), (0.0, 0.0)) if clip is None else clip_geometry(clip.window)),
    )


def clip_geometry(
    window: ImageWindow,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return input pixels per camera pixel along x and y, and the window's corner."""
    columns, rows = window.fitting.extent((window.height, window.width))
    scale = (columns / window.width, rows / window.height)
    return scale, (float(window.left), float(window.top))


def backgrounds(data: Dataset) -> list[NDArray[np.uint8] | None]:
    """Return the median of each image's clip, None for clips with fewer than 8 images."""
    medians: dict[str, NDArray[np.uint8] | None] = {}
    for clip in set(data.clips):
        own = [i for i, name in enumerate(data.clips) if name == clip]
        medians[clip] = (
            np.median(data.images[own], axis=0).astype(np.uint8)
            if len(own) >= 8
            else None
        )
    return [medians[clip] for clip in data.clips]
