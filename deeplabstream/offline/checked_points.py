"""Manually placed points in frames of videos, to measure networks with."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.frame_selection import image_path, write_images
from deeplabstream.training.data.labels import Labels, LabelsError, read_labels
from deeplabstream.video.video_reader import VideoReader


def frame_numbers(labels: Labels) -> list[int]:
    """Return the frame of the video for each image: the number at the end of its name."""
    found = [re.search(r"(\d+)$", image.stem) for image in labels.images]
    problems = [
        f"{image.name}: the name must end with a frame number"
        for image, number in zip(labels.images, found, strict=True)
        if number is None
    ]
    if problems:
        raise LabelsError(problems)
    return [int(number[1]) for number in found if number]


def rows_by_video(
    file: Path, videos: Sequence[VideoReader]
) -> dict[Path, NDArray[np.int64]]:
    """Return the frames with points of each video, growing; LabelsError: some have no video.

    The folder of an image is the name of its video; with a single video it may be any.
    """
    labels = read_labels(file, with_images=False)
    owners = _owners(labels, videos)
    numbers = np.array(frame_numbers(labels), np.int64)
    return {
        rows.path: np.unique(numbers[[owner is rows for owner in owners]])
        for rows in videos
    }


def with_images(file: Path, videos: Sequence[VideoReader], folder: Path) -> Labels:
    """Return the labels of a table with images of these frames, written to `folder`."""
    labels = read_labels(file, with_images=False)
    numbers, owners = frame_numbers(labels), _owners(labels, videos)
    for rows in videos:
        own = [n for n, owner in zip(numbers, owners, strict=True) if owner is rows]
        write_images(rows, np.unique(np.array(own, np.int64)), folder / rows.path.stem)
    images = [
        image_path(rows, number, folder / rows.path.stem)
        for number, rows in zip(numbers, owners, strict=True)
    ]
    if missing := [str(image) for image in images if not image.is_file()]:
        raise LabelsError([f"{file}: this frame could not be decoded: {missing[0]}"])
    return replace(labels, images=tuple(images))


def _owners(labels: Labels, videos: Sequence[VideoReader]) -> list[VideoReader]:
    by_name = {rows.path.stem: rows for rows in videos}
    owners, problems = [], []
    for name, number in zip(labels.names, frame_numbers(labels), strict=True):
        folder = Path(name).parent.name
        rows = videos[0] if len(videos) == 1 else by_name.get(folder)
        if rows is None:
            problems.append(f"{labels.file}: no video is called {folder} ({name})")
        elif number >= len(rows):
            problems.append(
                f"{labels.file}: {rows.path.name} has {len(rows)} frames, but not {number}"
            )
        else:
            owners.append(rows)
    if problems:
        raise LabelsError(problems)
    if not owners:
        raise DeepLabStreamError(f"{labels.file} labels no frame")
    return owners
