"""Video reader: frame n of a file is its n-th decoded frame, whoever asks and however.

`open_video` lists a file's packets without decoding them. Frame 0 is the first key frame:
what a file that was cut in the middle of a group of pictures has before it can be shown by
no decoder. From there on a frame that cannot be decoded keeps its number, without a picture,
so that tables of times and poses stay in step. FFmpeg's errors, its marks on damaged
frames, and frames that depend on such ones are counted and told.
"""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.video import seeking
from deeplabstream.video.decoding import (
    Converter,
    Decoder,
    decoded,
    opened,
    packets_of,
)
from deeplabstream.video.frame_times import (
    FrameNumbers,
    Listed,
    frame_ticks,
    listed,
    probed,
    report_losses,
)

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.packet import Packet

_REORDERED = 16
"""Most frames between decoding and display that any codec here allows."""
_NEAR = 40
"""Frames that are sooner decoded one after the other than jumped over."""
_UNKNOWN_ORDER = 4
"""Frames that are held back where the order of decoding is not known."""


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
        if rows:
            with closing(VideoCursor(self, jumps=self._jumps_pay(rows))) as cursor:
                for row in rows:
                    yield cursor.picture(row)

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

    def start_for(self, row: int) -> int:
        """Return the row from which on a frame is decoded, if it is read now, on its own."""
        return self.entry_before(row) if seeking.known_good(self) else 0

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
            report_losses(self.path, lost, damaged, first)

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
            packets = packets_of(container, stream)
            yield from self._checked(self._numbered(stream, packets, 0))

    def jumped(self, start: int, decoder: Decoder = "cpu") -> Iterator[Decoded]:
        """Yield frames from the key frame before `start` on; nothing: no way there."""
        with opened(self.path, decoder) as (container, stream):
            way = seeking.seek(self, container, stream, start)
            if way is not None:
                first, packets = way
                yield from self._checked(self._numbered(stream, packets, first))

    def _numbered(
        self,
        stream: "VideoStream",
        packets: "Iterator[Packet[Any] | None]",
        first: int,
    ) -> Iterator[Decoded]:
        """Give frames their rows; what follows an error up to a key frame is damaged."""
        row, spoiled = first, False
        counted = None if self.timed else FrameNumbers(timed=False, begin=first)
        if counted is not None:
            packets = counted.noted(packets)
        for frame in decoded(stream, packets):
            if frame is None:
                spoiled = True
                if counted is not None:
                    counted.error()
                continue
            if counted is None:
                place = -1 if frame.pts is None else self._rows.get(frame.pts, -1)
            else:
                found = counted.of(frame)
                place = -1 if found is None else found
            if not row <= place < len(self):
                continue
            spoiled = (spoiled or place > row) and not frame.key_frame
            row = place + 1
            spoiled = spoiled or frame.is_corrupt
            yield Decoded(place, frame, spoiled)
            if row >= len(self):
                return

    def _checked(self, found: Iterator[Decoded]) -> Iterator[Decoded]:
        """Mark also frames shown before a damaged one that were decoded after it.

        Where the order of decoding differs from that of display, FFmpeg may give a frame
        shortly before a lost one a wrong time: those are marked, too.
        """
        held: deque[Decoded] = deque()
        wait = self._held_back
        row = -1
        for each in found:
            bad = list(range(row + 1, each.row)) if row >= 0 else []
            bad += [each.row] if each.frame.is_corrupt else []
            for place, before in enumerate(held):
                lost = each.row > row + 1 and before.row > row - wait
                if lost or any(self._decoded_after(before.row, one) for one in bad):
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


class VideoCursor:
    """Reads single frames of a video; goes on where it is unless a jump is shorter.

    Frames on the way are decoded, but not converted. Growing rows take one pass over a file
    that can't be jumped in.
    """

    def __init__(self, reader: VideoReader, jumps: bool = True) -> None:
        self.reader, self._jumps = reader, jumps
        self._converter = Converter()
        self._times = reader.times_ns
        self._frames: Generator[Decoded, None, None] | None = None
        self._head: Decoded | None = None
        """Decoded, and not passed yet; None: the file has ended."""
        self._at = 0
        """The row that was asked for last."""

    def picture(self, row: int) -> Picture:
        """Return a frame; one that can't be decoded has no image."""
        if self._frames is None or row < self._at or self._far(row):
            self.close()
            self._frames = self.reader.frames(row)
            self._head = next(self._frames, None)
        self._at = row
        while self._head is not None and self._head.row < row:
            self._head = next(self._frames, None)
        found, time_ns = self._head, int(self._times[row])
        if found is None or found.row > row:
            return Picture(row, time_ns, None)
        image = self._converter.image(found.frame, self.reader.form)
        return Picture(row, time_ns, image, found.damaged)

    def _far(self, row: int) -> bool:
        """Return whether jumping decodes so much less that it is worth it."""
        return self._jumps and self.reader.start_for(row) > self._at + _NEAR

    def close(self) -> None:
        """Close the file."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None


def open_video(path: Path) -> VideoReader:
    """Read the list of a video's frames; DeviceError when it is no readable video.

    Packets are listed without decoding. Where they have no times that the decoder's frames
    can be known by, the file is decoded once to count its frames.
    """
    probe = probed(path)
    facts = path.stat()
    identity = str(path.resolve()), facts.st_size, facts.st_mtime_ns
    packets, tick_s, period_s = _listed(path)
    keys = [
        [pts if pts is not None else dts, dts if dts is not None else pts, place]
        for pts, dts, place, key in packets
        if key and (pts is not None or dts is not None)
    ]
    ticks, order = frame_ticks(packets, probe)
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
    return VideoReader(path, probe.form, ticks, tick_s, timed, table, order, identity)


def _listed(path: Path) -> tuple[list[Listed], Fraction, Fraction]:
    """Return the packets, the unit of their times and the usual time of a frame, s."""
    found = []
    with opened(path) as (container, stream):
        tick_s = Fraction(stream.time_base or Fraction(1, 1000))
        period_s = 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
        for packet in packets_of(container, stream):
            if entry := listed(packet):
                found.append(entry)
    return found, tick_s, period_s


def _counted(path: Path) -> tuple[int, list[int]]:
    """Decode a file; return how many frames it has, and the rows of its key frames.

    Packets that FFmpeg reports an error for count as frames.
    """
    numbers, keys = FrameNumbers(timed=False), []
    with opened(path) as (container, stream):
        packets = packets_of(container, stream)
        readable = takewhile(lambda each: each is not None, packets)
        for frame in decoded(stream, numbers.noted(readable)):
            if frame is None:
                numbers.error()
                continue
            row = numbers.of(frame)
            if frame.key_frame and row is not None:
                keys.append(row)
    report_losses(path, 0, 0, -1, numbers.end())
    return numbers.next, keys


def sampled(reader: VideoReader, count: int) -> NDArray[np.int64]:
    """Return `count` rows spread evenly from the first to the last, rounded, growing."""
    if not len(reader):
        return np.empty(0, np.int64)
    spread = np.round(np.linspace(0, len(reader) - 1, count)).astype(np.int64)
    return np.unique(spread)
