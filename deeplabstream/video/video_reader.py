"""Video reader: frames of a file by number, the same in sequential and random reading.

`open_video` lists a file's packets without decoding them. Frame 0 is the first key frame:
no decoder can show packets before it, as in a file that was cut in the middle of a group of
images. A later frame that can't be decoded keeps its number, without an image, so that
tables of times and poses stay aligned. Errors of FFmpeg, damaged frames, and frames that
depend on damaged ones are counted and reported.
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
    decode_frames,
    open_container,
    packets_of,
)
from deeplabstream.video.frame_times import (
    FrameNumbers,
    Listed,
    frame_ticks,
    index_entry,
    probe_video,
    report_losses,
)

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.packet import Packet

_REORDERED = 16
"""Largest reordering between decoding and display of the supported codecs, in frames."""
_NEAR = 40
"""Distance in frames below which decoding is faster than seeking."""
_UNKNOWN_ORDER = 4
"""Frames held back where the order of decoding is not known."""


class Decoded(NamedTuple):
    """One decoded frame and its number."""

    row: int
    frame: "VideoFrame"
    damaged: bool
    """FFmpeg concealed errors in it, or in a frame that it depends on."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoImage:
    """One frame of a video as an image."""

    row: int
    time_ns: int
    """Time since the first frame; strictly increasing."""
    image: Image | None
    """None: it can't be decoded."""
    damaged: bool = False
    """Decoded, but FFmpeg concealed errors in it."""


@dataclass(frozen=True, eq=False)
class VideoReader:
    """A video file with an index of its frames; can be shared between threads."""

    path: Path
    form: ImageFormat
    """Format of the first frame; `rate` as the file states it, 0: unknown."""
    ticks: NDArray[np.int64]
    """Presentation times (frame,), in units of `tick_s`; growing."""
    tick_s: Fraction
    timed: bool
    """Whether frames are numbered by their times; else, as in some AVI files, they were
    counted by decoding the whole file."""
    entries: NDArray[np.int64]
    """(key frame, 4): frame number, and pts, dts and file position of its packet."""
    order: NDArray[np.int64] | None
    """Positions (frame,) in the order of decoding; None: not known."""
    identity: tuple[str, int, int]
    """Path, size in bytes, and time of modification in ns."""

    def __len__(self) -> int:
        """Return the number of frames from the first key frame on, decodable or not."""
        return len(self.ticks)

    @cached_property
    def times_ns(self) -> NDArray[np.int64]:
        """Times (frame,) since the first frame, ns, strictly growing."""
        since = (self.ticks - self.ticks[:1]).astype(object) * self.tick_s * 10**9
        whole = np.array([int(number) for number in since], np.int64)
        steps = np.arange(len(whole))
        return np.asarray(np.maximum.accumulate(whole - steps) + steps, np.int64)

    @property
    def rate(self) -> float:
        """Frames per second by the median interval; 0 with fewer than two frames."""
        if len(self) < 2:
            return 0.0
        median = Fraction(float(np.median(np.diff(self.ticks)))) * self.tick_s
        mean = (
            Fraction(int(self.ticks[-1] - self.ticks[0]), len(self) - 1) * self.tick_s
        )
        if mean and abs(median / mean - 1) < Fraction(1, 10):
            return float(1 / mean)  # constant except for rounding
        return float(1 / median) if median else 0.0

    def images(self, start: int = 0, decoder: Decoder = "cpu") -> Iterator[VideoImage]:
        """Yield every frame from `start` on; one that can't be decoded has no image."""
        times, converter, row = self.times_ns.tolist(), Converter(), start
        with closing(self.frames(start, decoder)) as found:
            for place, frame, damaged in found:
                for lost in range(row, place):
                    yield VideoImage(lost, times[lost], None)
                image = converter.image(frame, self.form)
                yield VideoImage(place, times[place], image, damaged)
                row = place + 1
        for lost in range(row, len(self)):
            yield VideoImage(lost, times[lost], None)

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        """Yield single frames; one that can't be decoded has no image.

        Parameters
        ----------
        requested : numpy.ndarray of int64, shape (n,)
            Frame numbers, growing. The reader seeks where that decodes fewer frames.

        Yields
        ------
        VideoImage
            One for each of `requested`.
        """
        rows = np.asarray(requested).tolist()
        if rows:
            with closing(VideoCursor(self, jumps=self._jumps_pay(rows))) as cursor:
                for row in rows:
                    yield cursor.read(row)

    def prepare_jumps(self) -> None:
        """Check now whether seeking is reliable, before many reads in any order."""
        seeking.is_reliable(self)

    def _jumps_pay(self, rows: list[int]) -> bool:
        """Return whether seeking, including its check, decodes fewer frames than reading on."""
        if not len(self.entries):
            return False
        by_jumps, at = seeking.cost(self), 0
        for row in rows:
            by_jumps += row + 1 - max(at, self.entry_before(row))
            at = row + 1
        return by_jumps < rows[-1] + 1 and seeking.is_reliable(self)

    def start_for(self, row: int) -> int:
        """Return the frame at which decoding begins when frame `row` is read alone."""
        return self.entry_before(row) if seeking.is_known_reliable(self) else 0

    def entry_before(self, row: int) -> int:
        """Return the number of the last key frame up to `row`; 0: there is none."""
        place = int(np.searchsorted(self.entries[:, 0], row, side="right")) - 1
        return int(self.entries[place, 0]) if place >= 0 else 0

    def frames(
        self, start: int = 0, decoder: Decoder = "cpu"
    ) -> Generator[Decoded, None, None]:
        """Yield the frames from `start` on, without those that can't be decoded."""
        if start >= len(self):
            return
        row, damaged, first = start, 0, -1
        lost = 0
        jump = (
            self.entry_before(start) > 0
            and start >= seeking.cost(self)
            and seeking.is_reliable(self)
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
        with open_container(self.path, decoder) as (container, stream):
            packets = packets_of(container, stream)
            yield from self._checked(self._numbered(stream, packets, 0))

    def jumped(self, start: int, decoder: Decoder = "cpu") -> Iterator[Decoded]:
        """Yield frames from the key frame before `start` on; nothing: seeking failed."""
        with open_container(self.path, decoder) as (container, stream):
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
        """Assign frame numbers; frames after an error, up to the next key frame, are damaged."""
        row, spoiled = first, False
        counted = None if self.timed else FrameNumbers(timed=False, begin=first)
        if counted is not None:
            packets = counted.noted(packets)
        for frame in decode_frames(stream, packets):
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
        """Mark also frames that precede a damaged one but were decoded after it.

        Where decoding and display order differ, FFmpeg may give a frame shortly before a
        lost one a wrong time: these are marked too.
        """
        held: deque[Decoded] = deque()
        wait = self._held_back
        row = -1
        for decoded in found:
            bad = list(range(row + 1, decoded.row)) if row >= 0 else []
            bad += [decoded.row] if decoded.frame.is_corrupt else []
            for place, before in enumerate(held):
                lost = decoded.row > row + 1 and before.row > row - wait
                if lost or any(self._decoded_after(before.row, one) for one in bad):
                    held[place] = before._replace(damaged=True)
            held.append(decoded)
            row = decoded.row
            while held and held[0].row + wait <= row:
                yield held.popleft()
        yield from held

    @cached_property
    def _rows(self) -> dict[int, int]:
        """Frame numbers by presentation time."""
        return {tick: row for row, tick in enumerate(self.ticks.tolist())}

    @cached_property
    def _held_back(self) -> int:
        """Number of later frames needed to know that a frame is undamaged."""
        if self.order is None:
            return _UNKNOWN_ORDER
        shown = np.argsort(self.order)
        latest = np.maximum.accumulate(shown) - shown
        return min(int(latest.max(initial=0)), _REORDERED)

    def _decoded_after(self, row: int, other: int) -> bool:
        return self.order is None or bool(self.order[row] > self.order[other])


class VideoCursor:
    """Reads single frames of a video; reads on, or seeks where that decodes fewer frames.

    Frames in between are decoded, but not converted. Growing numbers need one pass over a
    file in which seeking is not reliable.
    """

    def __init__(self, reader: VideoReader, jumps: bool = True) -> None:
        self.reader, self._jumps = reader, jumps
        self._converter = Converter()
        self._times = reader.times_ns
        self._frames: Generator[Decoded, None, None] | None = None
        self._head: Decoded | None = None
        """The next decoded frame; None: the file has ended."""
        self._at = 0
        """Number of the last requested frame."""

    def read(self, row: int) -> VideoImage:
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
            return VideoImage(row, time_ns, None)
        image = self._converter.image(found.frame, self.reader.form)
        return VideoImage(row, time_ns, image, found.damaged)

    def _far(self, row: int) -> bool:
        """Return whether seeking saves enough decoding."""
        return self._jumps and self.reader.start_for(row) > self._at + _NEAR

    def close(self) -> None:
        """Close the file."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None


def open_video(path: Path) -> VideoReader:
    """Open a video and list its frames; DeviceError: it cannot be read.

    Packets are listed without decoding. Where frames can't be identified by their times, the
    file is decoded once to count them.
    """
    probe = probe_video(path)
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
        known = len(keyed) == len(keys)  # otherwise they can't be matched
        entries = [[row, *key] for row, key in zip(keyed, keys, strict=False) if known]
        ticks, tick_s = np.arange(count, dtype=np.int64), period_s
    else:
        rows = {tick: row for row, tick in enumerate(ticks.tolist())}
        entries = sorted([rows[key[0]], *key] for key in keys if key[0] in rows)
    table = np.array(entries, np.int64).reshape(-1, 4)
    timed = order is not None
    return VideoReader(path, probe.form, ticks, tick_s, timed, table, order, identity)


def _listed(path: Path) -> tuple[list[Listed], Fraction, Fraction]:
    """Return the packets, the unit of their times, and the frame period, in seconds."""
    found = []
    with open_container(path) as (container, stream):
        tick_s = Fraction(stream.time_base or Fraction(1, 1000))
        period_s = 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
        for packet in packets_of(container, stream):
            if entry := index_entry(packet):
                found.append(entry)
    return found, tick_s, period_s


def _counted(path: Path) -> tuple[int, list[int]]:
    """Decode a file; return the number of its frames, and the numbers of key frames.

    Packets that FFmpeg reports an error for count as frames.
    """
    numbers, keys = FrameNumbers(timed=False), []
    with open_container(path) as (container, stream):
        packets = packets_of(container, stream)
        readable = takewhile(lambda packet: packet is not None, packets)
        for frame in decode_frames(stream, numbers.noted(readable)):
            if frame is None:
                numbers.error()
                continue
            row = numbers.of(frame)
            if frame.key_frame and row is not None:
                keys.append(row)
    report_losses(path, 0, 0, -1, numbers.end())
    return numbers.next, keys


def sample_rows(reader: VideoReader, count: int) -> NDArray[np.int64]:
    """Return frame numbers spread evenly over a video.

    Parameters
    ----------
    reader : VideoReader
        The video.
    count : int
        How many.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        Growing, from the first frame to the last; at most `count`.
    """
    if not len(reader):
        return np.empty(0, np.int64)
    spread = np.round(np.linspace(0, len(reader) - 1, count)).astype(np.int64)
    return np.unique(spread)
