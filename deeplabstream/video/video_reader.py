"""Video reader: frame n of a file is its n-th decoded frame, whoever asks and however.

`open_video` lists a file's packets without decoding them. Frame 0 is the first key frame:
what a file that was cut in the middle of a group of pictures has before it can be shown by
no decoder. From there on a frame that cannot be decoded keeps its number, without a picture,
so that tables of times and poses stay in step. FFmpeg's errors, its marks on damaged
frames, and frames that depend on such ones are counted and told.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.video import seeking
from deeplabstream.video.decoding import (
    Converter,
    Decoder,
    decoded,
    image_format,
    opened,
    packets_of,
)

if TYPE_CHECKING:
    from av import VideoFrame

_PROBED = 48
"""Frames decoded to learn whether a file tells the right times."""
_REORDERED = 16
"""Most frames between decoding and display that any codec here allows."""
_UNKNOWN_ORDER = 4
"""Frames that are held back where the order of decoding is not known."""

_log = logging.getLogger("video")
_told: set[tuple[Path, int, int, int]] = set()


class Decoded(NamedTuple):
    """One decoded frame and its number."""

    row: int
    frame: "VideoFrame"
    damaged: bool
    """FFmpeg had to make up a part of it, or of a frame that it depends on."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame of a video as an image."""

    row: int
    time_ns: int
    """From the first frame; times grow."""
    image: Image | None
    """None: it could not be decoded."""
    damaged: bool = False
    """Decoded, but FFmpeg had to make up a part of it."""


@dataclass(frozen=True, eq=False)
class VideoReader:
    """A video file with the index of its frames; may be shared between threads."""

    path: Path
    form: ImageFormat
    """Of the first picture; `rate` is what the file says, 0 when it does not."""
    ticks: NDArray[np.int64]
    """(row,) when each frame is shown, in units of `tick_s`; grows."""
    tick_s: Fraction
    timed: bool
    """Whether decoded frames are known by their time; else, as in some AVI files, they were
    counted by decoding the whole file."""
    entries: NDArray[np.int64]
    """(key frame, 4): row, and its packet's pts, dts and place in the file; rows grow."""
    order: NDArray[np.int64] | None
    """(row,) place in the order of decoding; None: not known."""
    identity: tuple[str, int, int]
    """Path, size and time of the last change, ns."""

    def __len__(self) -> int:
        """Frames from the first that decodes on, whole or not."""
        return len(self.ticks)

    @cached_property
    def times_ns(self) -> NDArray[np.int64]:
        """(row,) from the first frame on, strictly growing."""
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

    def pictures(self, start: int = 0, decoder: Decoder = "cpu") -> Iterator[Picture]:
        """Yield every frame from `start` on; one that can't be decoded has no image."""
        times, converter, row = self.times_ns.tolist(), Converter(), start
        with closing(self.frames(start, decoder)) as found:
            for place, frame, damaged in found:
                for lost in range(row, place):
                    yield Picture(lost, times[lost], None)
                image = converter.image(frame, self.form)
                yield Picture(place, times[place], image, damaged)
                row = place + 1
        for lost in range(row, len(self)):
            yield Picture(lost, times[lost], None)

    def pictures_at(self, wanted: NDArray[np.int64]) -> Iterator[Picture]:
        """Yield the frames `wanted` (growing); one that can't be decoded has no image.

        It jumps to key frames where that decodes less than reading on does.
        """
        rows = np.asarray(wanted).tolist()
        if not rows:
            return
        if not self._jumps_pay(rows):
            chosen = set(rows)
            for picture in self.pictures(rows[0]):
                if picture.row in chosen:
                    yield picture
                if picture.row >= rows[-1]:
                    return
            return
        reading: Iterator[Picture] = iter(())
        at = -1
        for row in rows:
            if at < 0 or self.entry_before(row) > at:
                reading = self.pictures(row)
            for picture in reading:
                at = picture.row + 1
                if picture.row == row:
                    yield picture
                    break

    def prepare_jumps(self) -> None:
        """Check now whether the file can be jumped in: for many reads in any order."""
        seeking.trusted(self)

    def _jumps_pay(self, rows: list[int]) -> bool:
        """Return whether jumping, and checking it first, decodes less than reading on."""
        if not len(self.entries):
            return False
        by_jumps, at = seeking.cost(self), 0
        for row in rows:
            by_jumps += row + 1 - max(at, self.entry_before(row))
            at = row + 1
        return by_jumps < rows[-1] + 1 and seeking.trusted(self)

    def entry_before(self, row: int) -> int:
        """Return the row of the last key frame up to `row`; 0 when there is none."""
        place = int(np.searchsorted(self.entries[:, 0], row, side="right")) - 1
        return int(self.entries[place, 0]) if place >= 0 else 0

    def frames(
        self, start: int = 0, decoder: Decoder = "cpu"
    ) -> Generator[Decoded, None, None]:
        """Yield the frames from row `start` on, leaving out what can't be decoded."""
        if start >= len(self):
            return
        row, damaged, first = start, 0, -1
        lost = 0
        jump = (
            self.entry_before(start) > 0
            and start >= seeking.cost(self)
            and seeking.trusted(self)
        )
        ended = False
        try:
            for found in self._from(start, decoder, jump):
                if found.row < start:
                    continue
                if first < 0 and (found.damaged or found.row > row):
                    first = row if found.row > row else found.row
                lost += found.row - row
                damaged += found.damaged
                row = found.row + 1
                yield found
            ended = True
        finally:
            if ended and row < len(self):
                first = row if first < 0 else first
                lost += len(self) - row
            self._tell(lost, damaged, first)

    def _from(self, start: int, decoder: Decoder, jump: bool) -> Iterator[Decoded]:
        """Yield from the key frame before `start`, or from the beginning."""
        if jump:
            reading = self.jumped(start, decoder)
            head = next(reading, None)
            if head is not None and head.row <= start and not head.damaged:
                yield from chain([head], reading)
                return
        yield from self.from_beginning(decoder)

    def from_beginning(self, decoder: Decoder = "cpu") -> Iterator[Decoded]:
        """Yield all frames, decoded one after the other from the beginning."""
        with opened(self.path, decoder) as (container, stream):
            found = decoded(stream, packets_of(container, stream))
            yield from self._checked(self._numbered(found, 0))

    def jumped(self, start: int, decoder: Decoder = "cpu") -> Iterator[Decoded]:
        """Yield frames from the key frame before `start` on; nothing: no way there."""
        with opened(self.path, decoder) as (container, stream):
            way = seeking.seek(self, container, stream, start)
            if way is not None:
                first, packets = way
                found = decoded(stream, packets)
                yield from self._checked(self._numbered(found, first))

    def _numbered(
        self, found: "Iterator[VideoFrame | None]", first: int
    ) -> Iterator[Decoded]:
        """Give frames their rows; what follows an error up to a key frame is damaged."""
        row, spoiled = first, False
        for frame in found:
            if frame is None:
                spoiled = True
                continue
            place = row
            if self.timed:
                place = -1 if frame.pts is None else self._rows.get(frame.pts, -1)
            if place < row:
                continue
            spoiled = (spoiled or place > row) and not frame.key_frame
            row = place + 1
            spoiled = spoiled or frame.is_corrupt
            yield Decoded(place, frame, spoiled)
            if row >= len(self):
                return

    def _checked(self, found: Iterator[Decoded]) -> Iterator[Decoded]:
        """Mark also frames shown before a damaged one that were decoded after it."""
        held: deque[Decoded] = deque()
        wait = self._held_back
        row = -1
        for each in found:
            bad = list(range(row + 1, each.row)) if row >= 0 else []
            bad += [each.row] if each.frame.is_corrupt else []
            for place, before in enumerate(held):
                if any(self._decoded_after(before.row, one) for one in bad):
                    held[place] = before._replace(damaged=True)
            held.append(each)
            row = each.row
            while held and held[0].row + wait <= row:
                yield held.popleft()
        yield from held

    @cached_property
    def _rows(self) -> dict[int, int]:
        """From tick to row."""
        return {tick: row for row, tick in enumerate(self.ticks.tolist())}

    @cached_property
    def _held_back(self) -> int:
        """Frames that must have come before one is known to be undamaged."""
        if self.order is None:
            return _UNKNOWN_ORDER
        shown = np.argsort(self.order)
        latest = np.maximum.accumulate(shown) - shown
        return min(int(latest.max(initial=0)), _REORDERED)

    def _decoded_after(self, row: int, other: int) -> bool:
        return self.order is None or bool(self.order[row] > self.order[other])

    def _tell(self, lost: int, damaged: int, first: int) -> None:
        """Warn of what could not be read, once for each finding."""
        finding = self.path, lost, damaged, first
        if (lost or damaged) and finding not in _told:
            _told.add(finding)
            _log.warning(
                "%s: %d frames can't be decoded, %d are damaged (FFmpeg made up a part); "
                "the first is frame %d",
                self.path,
                lost,
                damaged,
                first,
            )


class _Listed(NamedTuple):
    """A packet that holds a frame."""

    pts: int | None
    dts: int | None
    place: int
    key: bool


def open_video(path: Path) -> VideoReader:
    """Read the list of a video's frames; DeviceError when it is no readable video.

    Packets are listed without decoding. Where they have no times that the decoder's frames
    can be known by, the file is decoded once to count its frames.
    """
    form, shown, whole = _probed(path)
    facts = path.stat()
    identity = str(path.resolve()), facts.st_size, facts.st_mtime_ns
    listed, tick_s, period_s = _listed(path)
    keys = [
        [pts if pts is not None else dts, dts if dts is not None else pts, place]
        for pts, dts, place, key in listed
        if key and (pts is not None or dts is not None)
    ]
    ticks, order = _times(listed, shown, whole)
    if ticks is None:
        count, keyed = _counted(path)
        known = len(keyed) == len(keys)  # else nobody knows which is which
        entries = [[row, *key] for row, key in zip(keyed, keys, strict=False) if known]
        ticks, tick_s = np.arange(count, dtype=np.int64), period_s
    else:
        rows = {tick: row for row, tick in enumerate(ticks.tolist())}
        entries = sorted([rows[key[0]], *key] for key in keys if key[0] in rows)
    table = np.array(entries, np.int64).reshape(-1, 4)
    timed = order is not None
    return VideoReader(path, form, ticks, tick_s, timed, table, order, identity)


def _listed(path: Path) -> tuple[list[_Listed], Fraction, Fraction]:
    """Return the packets, the unit of their times and the usual time of a frame, s."""
    found = []
    with opened(path) as (container, stream):
        tick_s = Fraction(stream.time_base or Fraction(1, 1000))
        period_s = 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
        for packet in packets_of(container, stream):
            if packet is not None and packet.size and not packet.is_discard:
                place = -1 if packet.pos is None else packet.pos
                found.append(_Listed(packet.pts, packet.dts, place, packet.is_keyframe))
    return found, tick_s, period_s


def _times(
    listed: list[_Listed], shown: list[int | None], whole: bool
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Return the frames' times and places in the order of decoding; None: not known.

    `shown` are the times of the first decoded frames: they must grow, and be those of the
    packets, one for each, unless the beginning is not `whole`.
    """
    known = [time for time in shown if time is not None]
    kept = [packet.pts for packet in listed if packet.pts is not None]
    grow = all(one < other for one, other in pairwise(known))
    if not grow or len(known) < len(shown) or len(kept) < len(listed):
        return None, None
    first = next((each.pts for each in listed if each.key), None)
    first = known[0] if first is None else first
    later = np.array([time for time in kept if time >= first], np.int64)
    ticks, order = np.unique(later, return_index=True)
    same = known == ticks[: len(known)].tolist() or not whole
    if len(ticks) < len(later) or not same:
        return None, None
    return ticks, order


def _counted(path: Path) -> tuple[int, list[int]]:
    """Decode a file; return how many frames it has, and the rows of its key frames."""
    count, keys = 0, []
    with opened(path) as (container, stream):
        for frame in decoded(stream, packets_of(container, stream)):
            if frame is not None:
                if frame.key_frame:
                    keys.append(count)
                count += 1
    return count, keys


def _probed(path: Path) -> tuple[ImageFormat, list[int | None], bool]:
    """Return the format, the times of the first frames, and whether all decoded."""
    form, times, whole = None, [], True
    with opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        found = decoded(stream, packets_of(container, stream))
        for frame in islice(found, _PROBED):
            if frame is None:
                whole = False
                continue
            form = form or image_format(frame, rate)
            times.append(frame.pts)
            whole = whole and not frame.is_corrupt
        if form is None:  # the beginning can't be decoded: what comes later may
            for frame in found:
                if frame is not None:
                    form = image_format(frame, rate)
                    times.append(frame.pts)
                    break
    if form is None:
        raise DeviceError(f"{path} holds no pictures")
    return form, times, whole


def sampled(reader: VideoReader, count: int) -> NDArray[np.int64]:
    """Return `count` rows spread evenly from the first to the last, rounded, growing."""
    if not len(reader):
        return np.empty(0, np.int64)
    spread = np.round(np.linspace(0, len(reader) - 1, count)).astype(np.int64)
    return np.unique(spread)
