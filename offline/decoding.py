"""Every frame of a video file as a row, in order, whatever of it can still be read.

A file's packets say how many frames it holds and when each is shown; that list is made
first, without decoding. A frame that can't be decoded keeps its row, without a picture.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from cameras.video import video_format
from core.errors import DeviceError
from core.frame import Image, ImageFormat

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

Decoder: TypeAlias = Literal["auto", "cpu", "cuda"]
"""`auto`: the graphics card where FFmpeg can use it, else the processor."""

_PROBED = 48
"""Frames looked at to learn whether a file tells the right times."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One row of a video."""

    row: int
    time_ns: int
    """From the first row; rows' times grow."""
    image: Image | None
    """None: it could not be decoded."""
    damaged: bool = False
    """Decoded, but FFmpeg had to make up a part of it."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoRows:
    """What a video file holds, found by reading it once without decoding."""

    path: Path
    form: ImageFormat
    """Of the first picture; `rate` is what the file says, 0 when it does not."""
    ticks: NDArray[np.int64]
    """(row,) when each is shown, in units of `tick_s`; grows."""
    tick_s: Fraction
    timed: bool
    """Whether decoded frames are known by their time; else they can only be counted,
    as in AVI files, and a frame that is lost moves those after it."""

    def __len__(self) -> int:
        """Rows: frames that the file holds, whole or not."""
        return len(self.ticks)

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """(row,) from the first row on, strictly growing."""
        since = (self.ticks - self.ticks[:1]).astype(object) * self.tick_s * 10**9
        whole = np.array([int(each) for each in since], np.int64)
        steps = np.arange(len(whole))
        return np.asarray(np.maximum.accumulate(whole - steps) + steps, np.int64)

    @property
    def rate(self) -> float:
        """Frames per second, from the median distance; 0 with fewer than two frames."""
        if len(self) < 2:
            return 0.0
        median = Fraction(float(np.median(np.diff(self.ticks)))) * self.tick_s
        mean = (
            Fraction(int(self.ticks[-1] - self.ticks[0]), len(self) - 1) * self.tick_s
        )
        if mean and abs(median / mean - 1) < Fraction(1, 10):
            return float(1 / mean)  # constant, but for the rounding of the file's times
        return float(1 / median) if median else 0.0


def video_rows(path: Path) -> VideoRows:
    """Read the list of a video's frames; DeviceError when it is no readable video."""
    form = video_format(path)
    import av

    ticks: list[int] = []
    untimed = 0
    with _opened(path) as (container, stream):
        tick_s = Fraction(stream.time_base or Fraction(1, 1000))
        period = 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    untimed += packet.pts is None
                    ticks.append(packet.pts or 0)
        except av.error.FFmpegError:
            pass  # what comes before the break counts
    found = np.array(sorted(ticks), np.int64)
    if untimed or len(np.unique(found)) < len(found):
        counted = np.arange(len(found), dtype=np.int64)
        return VideoRows(path, form, counted, period, timed=False)
    return VideoRows(path, form, found, tick_s, _comes_in_order(path))


def _comes_in_order(path: Path) -> bool:
    """Return whether the first frames come out with times that grow."""
    listed = VideoRows(
        path, ImageFormat((1, 1), 0), np.arange(_PROBED), Fraction(1), False
    )
    times = [frame.pts for _, frame in frames(listed)]
    known = [time for time in times if time is not None]
    grows = all(one < other for one, other in pairwise(known))
    return grows and len(known) == len(times)


def pictures(
    rows: VideoRows, start: int = 0, decoder: Decoder = "cpu"
) -> Iterator[Picture]:
    """Yield every row from `start` on; a row without a picture is damaged beyond use."""
    times, converter = rows.times_ns.tolist(), Converter()
    row = start
    for frame in frames(rows, start, decoder):
        place, picture = frame
        for lost in range(row, place):
            yield Picture(lost, times[lost], None)
        image = converter.image(picture, rows.form)
        yield Picture(place, times[place], image, bool(picture.is_corrupt))
        row = place + 1
    for lost in range(row, len(rows)):
        yield Picture(lost, times[lost], None)


def pictures_at(rows: VideoRows, wanted: NDArray[np.int64]) -> Iterator[Picture]:
    """Yield the rows `wanted` (growing); one that can't be decoded has no picture.

    Reading jumps to the key frame before each one, or goes on where that is nearer.
    """
    times, converter = rows.times_ns.tolist(), Converter()
    for row in wanted.tolist():
        found = None
        for place, frame in frames(rows, row):
            found = converter.image(frame, rows.form) if place == row else None
            break
        yield Picture(row, times[row], found)


def frames(
    rows: VideoRows, start: int = 0, decoder: Decoder = "cpu"
) -> "Generator[tuple[int, VideoFrame], None, None]":
    """Yield row and decoded frame, from row `start` on, leaving out what is broken."""
    import av

    if start >= len(rows):
        return
    places = {tick: place for place, tick in enumerate(rows.ticks.tolist())}
    with _opened(rows.path, decoder) as (container, stream):
        jumped = rows.timed and start > 0
        if jumped:
            container.seek(int(rows.ticks[start]), stream=stream, backward=True)
        row = 0
        for packet in container.demux(stream):
            try:
                decoded = stream.decode(packet)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                decoded = []
            for frame in decoded:
                place = places.get(frame.pts, -1) if rows.timed else row
                if place < row or place >= len(rows):
                    continue
                row = place + 1
                if place >= start:
                    yield place, frame
                if row == len(rows):
                    return


@contextmanager
def _opened(
    path: Path, decoder: Decoder = "cpu"
) -> "Iterator[tuple[InputContainer, VideoStream]]":
    import av

    try:
        container = av.open(str(path), hwaccel=_acceleration(decoder, path))
    except av.error.FFmpegError as error:
        said = f"{path} is no video that can be read: {error.strerror}"
        raise DeviceError(said) from error
    with container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _acceleration(decoder: Decoder, path: Path) -> "HWAccel | None":
    import av
    from av.codec.hwaccel import HWAccel, hwdevices_available

    if decoder == "cpu":
        return None
    try:
        if "cuda" in hwdevices_available():
            card = HWAccel("cuda", allow_software_fallback=False)
            with av.open(str(path), hwaccel=card) as container:
                for _ in container.decode(video=0):
                    return HWAccel("cuda", allow_software_fallback=False)
    except (av.error.FFmpegError, RuntimeError, NotImplementedError):
        pass
    if decoder == "cuda":
        raise DeviceError(f"no graphics card here can decode {path}; use cpu")
    return None


class Converter:
    """Makes pictures of decoded frames; kept for as long as they have one size.

    What FFmpeg needs to convert is made once: for each frame anew it would take longer
    than the converting.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def pixels(self, frame: "VideoFrame", layout: str) -> Image:
        """Return a frame's pixels: bgr24, gray or gray16le."""
        made = self._reformatter.reformat(frame, format=layout, threads=1)
        return cast("Image", made.to_ndarray())

    def image(self, frame: "VideoFrame", form: ImageFormat) -> Image | None:
        """Return the picture as `form` says, None when it has another size."""
        if (frame.height, frame.width) != form.shape[:2]:
            return None
        layout = "bgr24" if len(form.shape) == 3 else "gray"
        layout = "gray16le" if form.dtype == "uint16" else layout
        return np.asarray(self.pixels(frame, layout), form.dtype)


def sampled(rows: VideoRows, count: int) -> NDArray[np.int64]:
    """Return `count` rows spread evenly from the first to the last, rounded, growing."""
    if not len(rows):
        return np.empty(0, np.int64)
    spread = np.round(np.linspace(0, len(rows) - 1, count)).astype(np.int64)
    return np.unique(spread)
