"""Frame times: numbers of decoded frames from the times of the packets.

Most files give each packet the time at which its frame is shown, and FFmpeg gives a decoded
frame the time of its packet. Then a frame that FFmpeg leaves out, with or without an error,
leaves a gap, and no later frame gets its number. Other files, such as H.264 in AVI, give
times that decoded frames do not have: there, frames are counted. After an error the next
key frame is numbered by how many packets the decoder got since the last good frame.
"""

import heapq
import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.video.decoding import (
    decode_frames,
    image_format,
    open_container,
    packets_of,
)

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet

_PROBED = 48
"""Frames decoded to find out whether the times of a file are right."""

_log = logging.getLogger("video")
_reported: set[tuple[Path, int, int, int, int]] = set()


class Listed(NamedTuple):
    """A packet that holds a frame."""

    pts: int | None
    dts: int | None
    place: int
    key: bool


class Probe(NamedTuple):
    """Result of decoding the first frames of a file."""

    form: ImageFormat
    shown: tuple[int | None, ...]
    """Times of the first decoded frames."""
    whole: bool
    """Whether all decoded, undamaged."""
    fed: tuple[Listed, ...]
    """Their packets."""


def index_entry(packet: "Packet[Any] | None") -> Listed | None:
    """Return a packet's entry for the index; None: it holds no frame."""
    if packet is None or not packet.size or packet.is_discard:
        return None
    place = -1 if packet.pos is None else packet.pos
    return Listed(packet.pts, packet.dts, place, packet.is_keyframe)


def probe_video(path: Path) -> Probe:
    """Decode the first frames; DeviceError: the file holds none that can be decoded."""
    with open_container(path):  # raises DeviceError also if the file was deleted
        facts = path.stat()
    return _probed(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _probed(path: Path, _size: int, _changed_ns: int) -> Probe:
    form, times, whole = None, [], True
    fed: list[Listed] = []

    def noted(
        packets: "Iterator[Packet[Any] | None]",
    ) -> "Iterator[Packet[Any] | None]":
        for packet in packets:
            if entry := index_entry(packet):
                fed.append(entry)
            yield packet

    with open_container(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        found = decode_frames(stream, noted(packets_of(container, stream)))
        for frame in islice(found, _PROBED):
            if frame is None:
                whole = False
                continue
            form = form or image_format(frame, rate)
            times.append(frame.pts)
            whole = whole and not frame.is_corrupt
        if form is None:  # the beginning can't be decoded; later frames may
            for frame in found:
                if frame is not None:
                    form = image_format(frame, rate)
                    times.append(frame.pts)
                    break
    if form is None:
        raise DeviceError(f"{path} holds no frames")
    return Probe(form, tuple(times), whole, tuple(fed))


def frame_ticks(
    packets: Sequence[Listed], probe: Probe
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Return times and positions in decoding order of the frames; None: not known.

    The times of the first decoded frames must grow, and be those of the packets. Packets
    without a frame among them are lost frames when the first one is a marked key frame.
    """
    known = [time for time in probe.shown if time is not None]
    kept = [packet.pts for packet in packets if packet.pts is not None]
    grow = all(one < other for one, other in pairwise(known))
    if not grow or len(known) < len(probe.shown) or len(kept) < len(packets):
        return None, None
    keys = [packet.pts for packet in packets if packet.key and packet.pts is not None]
    first = known[0] if not keys else keys[0]
    later = np.array([time for time in kept if time >= first], np.int64)
    ticks, order = np.unique(later, return_index=True)
    same = known == ticks[: len(known)].tolist() or not probe.whole
    gaps = known[0] in keys and set(known) <= set(ticks.tolist())
    if len(ticks) < len(later) or not (same or gaps):
        return None, None
    return ticks, order


class FrameNumbers:
    """Numbers of decoded frames in a file that is read once, without an index of it.

    The numbers are those of the index: each packet from the first key frame on is a frame,
    in the order of their times.
    """

    def __init__(self, timed: bool, begin: int = 0) -> None:
        self._timed = timed
        self._pending: list[int] = []
        """Heap: times of packets whose frames are not decoded yet."""
        self.first: int | None = None
        """Time of frame 0, in the file's unit; None: not known."""
        self._last: int | None = None
        self._fed = self._found = 0
        self._ranks: dict[int, int] = {}
        """Decoding times of packets without a presentation time, with their
        positions."""
        self._delay: int | None = None
        """Number of packets that the decoder received after the newest good frame."""
        self._uncertain = False
        """Whether there was an error since the last key frame."""
        self._begin = begin
        self.next = begin
        """Frames so far, decoded or lost."""

    @property
    def lost(self) -> int:
        """Frames that FFmpeg has skipped before the newest one."""
        return self.next - self._begin - self._found

    def noted(
        self, packets: "Iterator[Packet[Any] | None]"
    ) -> "Iterator[Packet[Any] | None]":
        """Yield the packets and register them before they are decoded."""
        for packet in packets:
            if entry := index_entry(packet):
                self.feed(entry)
            yield packet

    def feed(self, packet: Listed) -> None:
        """Register a packet that the decoder gets next."""
        self._fed += 1
        if not self._timed:
            if packet.dts is not None:
                self._ranks[packet.dts] = self._fed
            return
        if packet.pts is None:
            self._count()
            return
        if self.first is None and packet.key:
            self.first = packet.pts
        if self.first is not None and packet.pts < self.first:
            return  # it is shown before the first key frame
        if self._last is not None and packet.pts < self._last:
            self.next += 1  # too late: later frames have already been shown
        else:
            heapq.heappush(self._pending, packet.pts)

    def _count(self) -> None:
        """Count from here on, because times do not identify frames."""
        self._timed = False
        self._pending.clear()

    def of(self, frame: "VideoFrame") -> int | None:
        """Return the number of a decoded frame; None: it does not belong to the file's frames."""
        if self._timed and frame.pts is None:
            self._count()
        if self._timed and frame.pts is not None:
            if self.first is None:  # no packet is marked as a key frame
                self.first = begin = frame.pts
                self._pending = [time for time in self._pending if time >= begin]
                heapq.heapify(self._pending)
            while self._pending and self._pending[0] < frame.pts:
                heapq.heappop(self._pending)
                self.next += 1
            if not self._pending or self._pending[0] > frame.pts:
                return None
            heapq.heappop(self._pending)
            self._last = frame.pts
        if not self._timed:
            self._resume(frame)
        self._found += 1
        self.next += 1
        return self.next - 1

    def _resume(self, frame: "VideoFrame") -> None:
        """Find the number of the first key frame after an error."""
        rank = None if frame.dts is None else self._ranks.get(frame.dts)
        resumed = self._uncertain and frame.key_frame
        if resumed and rank is not None and self._delay is not None:
            self.next = max(self.next, rank - self._delay)
        self._uncertain = self._uncertain and not frame.key_frame
        if rank is not None and not self._uncertain:
            self._delay = rank - self.next

    def error(self) -> None:
        """Register that FFmpeg could not decode a packet."""
        self._uncertain = True
        if not self._timed:
            self.next += 1

    def end(self) -> int:
        """Register the end of the file; return how many packets gave neither frame nor error.

        Where frames have times these are lost frames, and 0 is returned.
        """
        if self._timed:
            self.next += len(self._pending)
            self._pending.clear()
            return 0
        return max(0, self._fed - (self.next - self._begin))


def report_losses(
    path: Path, lost: int, damaged: int, first: int, unplaced: int = 0
) -> None:
    """Log a warning about lost and damaged frames of a file, once for each finding.

    `unplaced` are packets that gave no frame and no error, in a file without frame times.
    """
    finding = path, lost, damaged, first, unplaced
    if finding in _reported:
        return
    _reported.add(finding)
    if lost or damaged:
        _log.warning(
            "%s: %d frames can't be decoded, %d are damaged (FFmpeg concealed errors); "
            "the first is frame %d",
            path,
            lost,
            damaged,
            first,
        )
    if unplaced:
        _log.warning(
            "%s: %d packets give no frame, at unknown positions: frame numbers "
            "may be too small by up to %d",
            path,
            unplaced,
            unplaced,
        )
