"""Board views: corners of a board in videos of several cameras, moment by moment."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.camera_calibration.charuco_board import (
    CharucoBoard,
    fitting_board,
)
from deeplabstream.pose.image_files import SUFFIXES, read_image
from deeplabstream.startup.progress import progress
from deeplabstream.video.video_reader import VideoImage

_LEAST_ROWS, _LEAST_IN_ROW = 2, 2
"""Rows of corners, and corners in each, of a view that counts: four points with three
on a line do not determine the board's position."""
_TRIED = 12
"""Frames of each video from which the board's pattern is determined."""
COVERAGE_GRID = 6, 9
"""Rows and columns of the cells of an image that can be covered by corners."""
_BLOCKS, _KEPT_BACK_OF = 16, 4
"""The recording has so many blocks; one of so many is kept back."""


@dataclass(frozen=True, slots=True, eq=False)
class BoardViews:
    """Corners of a board as several cameras see them."""

    board: CharucoBoard
    names: tuple[str, ...]
    """Cameras."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of the images of each camera."""
    frames: NDArray[np.int64]
    """(moment,): number of the frame in each video."""
    pixels: NDArray[np.float64]
    """(camera, moment, corner, 2); NaN: not found."""

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Whether each camera sees the board at each moment, (camera, moment)."""
        found = np.isfinite(self.pixels[..., 0])
        grid = self.board.rows - 1, self.board.columns - 1
        in_row = found.reshape(*found.shape[:2], *grid).sum(axis=-1)
        rows = (in_row >= _LEAST_IN_ROW).sum(axis=-1)
        return np.asarray(rows >= _LEAST_ROWS)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Whether a corner was found in each cell of each image, (camera, row, column)."""
        rows, columns = COVERAGE_GRID
        covered = np.zeros((len(self.names), rows, columns), np.bool_)
        for camera, (height, width) in enumerate(self.sizes):
            own = self.pixels[camera][self.seen[camera]]
            x, y = own[np.isfinite(own[..., 0])].T
            column = np.clip(x * columns / width, 0, columns - 1).astype(int)
            row = np.clip(y * rows / height, 0, rows - 1).astype(int)
            covered[camera, row, column] = True
        return covered

    @property
    def shared(self) -> NDArray[np.int64]:
        """Number of moments at which both of two cameras see the board, (camera, camera)."""
        seen = self.seen.astype(np.int64)
        return seen @ seen.T

    @property
    def kept_back(self) -> NDArray[np.bool_]:
        """Whether each moment (moment,) is kept back, to measure the calibration with.

        Whole blocks of the recording: neighbouring frames show nearly the same.
        """
        block = np.arange(len(self.frames)) * _BLOCKS // max(1, len(self.frames))
        return np.asarray(block % _KEPT_BACK_OF == _KEPT_BACK_OF - 1)

    def at(self, moments: NDArray[np.bool_]) -> "BoardViews":
        """Return the views of some moments."""
        frames, pixels = self.frames[moments], self.pixels[:, moments]
        return BoardViews(self.board, self.names, self.sizes, frames, pixels)


class ImageSource(Protocol):
    """Numbered images of one camera: a video, or a folder of images."""

    @property
    def path(self) -> Path:
        """The video, or the folder."""

    def __len__(self) -> int:
        """Return the number of images."""

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        """Yield images by their numbers; one that can't be decoded has none."""


@dataclass(frozen=True)
class ImageFolder:
    """Images of one camera in a folder, in the order of the numbers in their names."""

    path: Path
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        """Yield images by their places; DeepLabStreamError: one can't be read."""
        for place in requested.tolist():
            file = self.files[place]
            yield VideoImage(place, 0, read_image(file))


def open_image_folder(folder: Path) -> ImageFolder:
    """Return the images of a folder; DeepLabStreamError: it has none."""
    files = [
        f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file()
    ]
    if not files:
        raise DeepLabStreamError(f"{folder} has no images ({', '.join(SUFFIXES)})")
    return ImageFolder(folder, tuple(sorted(files, key=_numbers)))


def _numbers(file: Path) -> tuple[list[int], str]:
    """Return the numbers in a name: image 2 comes before image 10."""
    return [int(number) for number in re.findall(r"\d+", file.stem)], file.stem


def find_board(
    videos: Sequence[ImageSource],
    names: Sequence[str],
    board: CharucoBoard,
    most: int,
    also: Sequence[int] = (),
) -> BoardViews:
    """Return the corners of a board in videos whose frames of one number are one moment.

    Parameters
    ----------
    videos : sequence of ImageSource
        One for each camera.
    names : sequence of str
        Cameras.
    board : CharucoBoard
        Its pattern (legacy, inverted) is determined from the videos.
    most : int
        Largest number of moments, spread evenly.
    also : sequence of int
        Numbers of frames that are used besides.

    Returns
    -------
    BoardViews
        Moments at which one camera or more sees the board.

    Raises
    ------
    DeepLabStreamError
        A camera never sees the board, or its images differ in size.
    """
    count = min(len(video) for video in videos)
    _check_frames(count, also)
    spread = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    found = _find(videos, names, board, np.union1d(spread, np.array(also, int)))
    for camera, video in enumerate(videos):
        if not np.isfinite(found.pixels[camera]).any():
            raise DeepLabStreamError(
                f"{video.path.name}: the board was found in none of {len(found.frames)} "
                f"frames. Check --board ({board.columns}x{board.rows} squares, not corners), "
                f"--dictionary ({board.dictionary}) and that the board is in the image"
            )
    return found.at(np.asarray(found.seen.any(axis=0)))


def find_board_at(
    videos: Sequence[ImageSource],
    names: Sequence[str],
    board: CharucoBoard,
    frame: int,
) -> BoardViews:
    """Return the corners of a board at one moment; DeepLabStreamError: no such frame."""
    _check_frames(min(len(video) for video in videos), [frame])
    return _find(videos, names, board, np.array([frame]))


def _check_frames(count: int, frames: Sequence[int]) -> None:
    if late := [frame for frame in frames if frame >= count]:
        raise DeepLabStreamError(
            f"there is no frame {late[0]}: the last one of all videos is {count - 1}"
        )


def _find(
    videos: Sequence[ImageSource],
    names: Sequence[str],
    board: CharucoBoard,
    rows: NDArray[np.int64],
) -> BoardViews:
    """Return the corners in some frames; the board's pattern is determined."""
    tried = rows[:: max(1, len(rows) // _TRIED)]
    board = fitting_board(
        board,
        [
            image
            for video in videos
            for image in _images(video, tried)
            if image is not None
        ],
    )

    pixels = np.full((len(videos), len(rows), board.corners, 2), np.nan)
    sizes = []
    for camera, (name, video) in enumerate(zip(names, videos, strict=True)):
        images = progress(
            _images(video, rows), f"finding the board: {name}", len(rows), "frames"
        )
        shapes = set()
        for moment, image in enumerate(images):
            if image is not None:
                shapes.add(image.shape[:2])
                pixels[camera, moment] = board.find(image)
        if len(shapes) != 1:
            raise DeepLabStreamError(
                f"{video.path.name} has no images of one size: {len(shapes)} sizes"
            )
        height, width = shapes.pop()
        sizes.append((int(height), int(width)))
    return BoardViews(board, tuple(names), tuple(sizes), rows, pixels)


def _images(video: ImageSource, rows: NDArray[np.int64]) -> Iterator[Image | None]:
    """Yield the images of some frames; None: it can't be decoded."""
    for found in video.images_at(rows):
        yield found.image
