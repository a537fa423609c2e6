"""Frame queue of a run: uncertain frames to label, with reasons, at most some per hour.

The recorder fills it while the run goes on, from the poses in the journal: the engine does
nothing for it. Of a run without a queue it is computed from the recorded poses by the same
rules. An image is taken from the recorded video, or is saved where none is recorded.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import dist, isnan, nan
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import AMBIGUOUS, Pose, Thresholds, is_rejected
from deeplabstream.files.atomic_replace import replace as replace_file
from deeplabstream.recording.cell_formats import text_cell
from deeplabstream.recording.csv_tables import CsvTable, time_cell
from deeplabstream.recording.recorded_frames import analysed_cameras
from deeplabstream.recording.run_folder import RunFolder, stem
from deeplabstream.recording.run_schema import QUEUE
from deeplabstream.recording.table_reader import queue_table

PER_HOUR = 12
"""Default number of queued frames per hour and camera."""
APART_S = 2.0
"""Shortest time between queued frames, because neighbouring frames are similar."""
UNSURE = (*AMBIGUOUS, "exchanged")
"""Prefixes of the flags of animals with an ambiguous or corrected identity."""
HALF = 0.5
"""Confidence below which a point is uncertain, where the run names no threshold."""
NOT_FOUND = 0.2
"""Uncertainty of an animal without any point, which is often not present."""
_FAR = 10.0
"""Movement relative to the typical one from which a point has jumped."""
_WIDE = 3.0
"""Spread of an ensemble relative to the typical one from which its networks disagree."""
_LONG_S = 0.5
"""Frames farther apart than this are not compared."""
_WARM = 60
"""Number of frames after which the typical movement and spread are known."""
_GROWTH = 1.05
"""Factor by which the running medians adapt per frame."""
_LEAST_PX = 1.0
"""Movement and spread below it are noise."""
_STEP = 0.05
"""Step of uncertainty within which frames count as equal, so that few replace others."""
_GOLDEN = 0.6180339887498949
_MOST_WAITING = 4
"""Largest number of images waiting to be saved."""


class UncertaintyMeter:
    """Uncertainty of the poses of one camera, compared with earlier poses.

    It uses lists: of so few numbers they are faster than arrays.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold or HALF
        self._points: list[list[float]] = []
        self._time_ns = 0
        self._usual: list[float] = []
        """Movement of each point between two frames, px."""
        self._usual_spread = nan
        self._seen = 0

    def rate(self, step: Step) -> tuple[float, str]:
        """Return the uncertainty of a frame, 0 without a reason, and the reasons.

        It is 1 minus the mean confidence of found animals, plus the shares of points that
        jumped and that `[Tracking]` rejected, 1 for an ambiguous identity and 1 where the
        networks of an ensemble differ.
        """
        reasons = [*self._confidence(step.pose), *self._jumped(step), *_flagged(step)]
        if self._differ(step.pose.spread_px):
            reasons.append(
                (1.0, f"the networks differ by {step.pose.spread_px:.1f} px")
            )
        self._seen += 1
        return sum(much for much, _ in reasons), "; ".join(why for _, why in reasons)

    def _confidence(self, pose: Pose) -> Iterator[tuple[float, str]]:
        """Yield that an animal was not found, or the point with the lowest confidence."""
        found: list[tuple[float, str]] = []
        parts = pose.skeleton.bodyparts
        for animal, row in enumerate(pose.confidence.tolist()):
            sure = [
                0.0 if isnan(confidence) else min(max(confidence, 0.0), 1.0)
                for confidence in row
            ]
            if max(sure) >= self._threshold:
                found += zip(sure, pose.names[animal * len(parts) :], strict=False)
            elif len(pose.points) > 1:
                name = pose.skeleton.named(len(pose.points))[animal]
                yield NOT_FOUND, f"{name} is not found"
            else:
                yield NOT_FOUND, "the animal is not found"

        # One uncertain point is reported as the reason, but all points contribute: a
        # frame with several of them is more useful to label.
        lowest, name = min(found, default=(1.0, ""))
        if lowest < self._threshold:
            mean = sum(sure for sure, _ in found) / len(found)
            yield 1 - mean, f"{name} has confidence {lowest:.2f}"

    def _jumped(self, step: Step) -> Iterator[tuple[float, str]]:
        """Yield the share of points that moved much farther than typical."""
        points: list[list[float]] = step.pose.points.reshape(-1, 2).tolist()
        before, self._points = self._points, points
        since_ns, self._time_ns = step.exposed_ns - self._time_ns, step.exposed_ns

        # A network with another number of points has begun: nothing to compare with.
        if len(before) != len(points):
            self._usual = [_LEAST_PX] * len(points)
            return
        if since_ns > _LONG_S * 1e9:
            return

        # The typical movement is adapted up or down by a factor: a running median.
        far = 0
        for place, moved in enumerate(map(dist, points, before)):
            usual = self._usual[place]
            far += moved > _FAR * usual  # NaN: it did not move
            if moved >= 0:
                usual *= _GROWTH if moved > usual else 1 / _GROWTH
                self._usual[place] = max(usual, _LEAST_PX)
        if far and self._seen >= _WARM:
            yield far / len(points), "points jump"

    def _differ(self, spread_px: float) -> bool:
        """Return whether the networks differ much more than typical."""
        if not spread_px >= 0:  # NaN: there is one network only
            return False

        # As for the movement; the first spread is the initial value.
        usual = self._usual_spread
        if not usual >= 0:
            usual = max(spread_px, _LEAST_PX)
        grown = usual * (_GROWTH if spread_px > usual else 1 / _GROWTH)
        self._usual_spread = max(grown, _LEAST_PX)
        return self._seen >= _WARM and spread_px > _WIDE * usual


def _flagged(step: Step) -> Iterator[tuple[float, str]]:
    """Yield what `[Tracking]` rejected, and ambiguous identities."""
    if not (step.flags or any(step.pose.identity)):
        return
    flags = {**step.pose.flags, **step.flags}
    if rejected := [name for name, flag in flags.items() if is_rejected(flag)]:
        share = min(1.0, len(rejected) / step.pose.confidence.size)
        yield share, f"[Tracking] rejected {', '.join(rejected)}"
    if any(flag.startswith(UNSURE) for flag in flags.values()):
        yield 1.0, "an identity is ambiguous"


@dataclass(frozen=True, slots=True)
class QueuedFrame:
    """An uncertain frame of a run."""

    camera: str
    frame: int
    """The device's count of the frame."""
    exposed_ns: int
    time_s: float
    """Seconds since Start Stream."""
    uncertainty: float
    reason: str
    image: str = ""
    """File name of its saved image; empty: it is in the recorded video."""

    @property
    def rank(self) -> tuple[int, float]:
        """Its uncertainty in steps; equal ones get a number that spreads them over time."""
        return round(self.uncertainty / _STEP), self.frame * _GOLDEN % 1


class FrameQueue:
    """The most uncertain frames of each hour of one camera; times must not decrease."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self.frames: list[QueuedFrame] = []
        """Queued frames in order of time."""
        self._first = 0
        """Index of the first frame of this hour."""
        self._hour = -1
        self._since_s = -APART_S
        """Time at which the last frame, or the first one that it replaced, was queued."""

    def takes(self, frame: QueuedFrame) -> bool:
        """Return whether `add` would accept a frame."""
        if (hour := int(frame.time_s // 3600)) != self._hour:
            self._hour, self._first = hour, len(self.frames)

        rivals = self._rivals(frame)
        if rivals is None:
            return len(self.frames) - self._first < self._per_hour
        return any(frame.rank > rival.rank for rival in rivals)

    def add(self, frame: QueuedFrame) -> QueuedFrame | None:
        """Add an accepted frame; return the frame that it replaces."""
        rivals = self._rivals(frame)
        leaves = min(rivals, key=lambda rival: rival.rank) if rivals else None
        if leaves is not None:
            self.frames.remove(leaves)
        self.frames.append(frame)
        if frame.time_s - self._since_s >= APART_S:
            self._since_s = frame.time_s
        return leaves

    def _rivals(self, frame: QueuedFrame) -> list[QueuedFrame] | None:
        """Return the frames from which one is replaced; None: the queue has room."""
        own = self.frames[self._first :]

        # Neighbouring frames are similar: of those within `APART_S` the worst one stays.
        if frame.time_s - self._since_s < APART_S:
            return own[-1:]

        # A replacement has moved the last frame close to this one.
        if self.frames and frame.time_s - self.frames[-1].time_s < APART_S:
            return []
        return own if len(own) >= self._per_hour else None


class QueueImages:
    """Saves images in a thread: JPEG, or PNG for more than 8 bits; atomically."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(1, "queue images")
        self._waiting: list[Future[None]] = []
        self.problem = ""
        """Why an image could not be saved."""

    def save(self, camera: str, frame: int, image: Image) -> str:
        """Queue an image to be saved; return its file name, or "" if too many wait."""
        # A slow disk drops images, but must not fill memory or delay the recorder.
        self._waiting = [writing for writing in self._waiting if not writing.done()]
        if len(self._waiting) >= _MOST_WAITING:
            return ""
        ending = ".jpg" if image.dtype == np.uint8 else ".png"
        name = f"{stem(camera)}_{frame:06d}{ending}"
        path = self._folder / name
        self._waiting.append(self._threads.submit(self._write, path, image))
        return name

    def remove(self, name: str) -> None:
        """Remove an image whose frame has left the queue."""
        self._threads.submit((self._folder / name).unlink, missing_ok=True)

    def close(self) -> None:
        """Wait until all images are saved."""
        self._threads.shutdown()

    def _write(self, path: Path, image: Image) -> None:
        import cv2

        try:
            good, data = cv2.imencode(path.suffix, image)
            # Renamed only when complete: `_written` includes each image that exists.
            if good:
                draft = path.with_suffix(".new")
                draft.write_bytes(data.tobytes())
                replace_file(draft, path)
        except OSError as error:
            self.problem = f"images of uncertain frames can't be saved: {error}"


class QueueWriter:
    """Fills the queue of a run; its table and folder are made with the first frame.

    `image_of` returns the image of a frame that is not recorded: None, it is recorded;
    an empty array, it is no longer there.
    """

    def __init__(
        self,
        folder: RunFolder,
        start_ns: int,
        per_hour: int,
        thresholds: Thresholds,
        image_of: Callable[[Step], Image | None] = lambda step: None,
    ) -> None:
        self._folder, self._start_ns, self._per_hour = folder, start_ns, per_hour
        self._thresholds, self._image_of = thresholds, image_of
        self._meters: dict[str, UncertaintyMeter] = {}
        self._queues: dict[str, FrameQueue] = {}
        self.table: CsvTable | None = None
        self.images: QueueImages | None = None

    def step(self, step: Step) -> None:
        """Queue an analysed frame if it is uncertain; OSError: the disk failed."""
        queue = self._queues.setdefault(step.camera, FrameQueue(self._per_hour))
        frame = self._rated(step)
        if frame is None or not queue.takes(frame):
            return
        image = self._image_of(step)

        # A run without uncertain frames has no queue folder.
        if self.table is None:
            self._folder.queue_path.parent.mkdir(exist_ok=True)
            self.table = CsvTable(self._folder.queue_path, QUEUE.names)
            self.images = QueueImages(self._folder.queue_path.parent)

        # A frame that is neither recorded nor saved can't be labelled: leave it out.
        name = ""
        if image is not None and self.images is not None:
            if image.size:
                name = self.images.save(step.camera, step.index, image)
            if not name:
                return
        frame = replace(frame, image=name)
        leaves = queue.add(frame)
        self.table.write_cells(
            {
                "camera": text_cell(frame.camera),
                "frame": frame.frame,
                "exposed_ns": frame.exposed_ns,
                "time_s": time_cell(frame.exposed_ns, self._start_ns),
                "uncertainty": f"{frame.uncertainty:.4f}",
                "reason": text_cell(frame.reason),
                "replaces": "" if leaves is None else leaves.frame,
                "image": text_cell(name),
            }
        )

        # After its row: a killed program leaves an image without a row, not a row
        # without an image.
        if leaves is not None and leaves.image and self.images is not None:
            self.images.remove(leaves.image)

    def close(self) -> None:
        """Wait for the images; the table is closed with the others."""
        if self.images is not None:
            self.images.close()

    def _rated(self, step: Step) -> QueuedFrame | None:
        meter = self._meters.get(step.camera)
        if meter is None:
            threshold = self._thresholds.of(step.camera)
            meter = self._meters[step.camera] = UncertaintyMeter(threshold)
        return rated(meter, step, self._start_ns)


def rated(meter: UncertaintyMeter, step: Step, start_ns: int) -> QueuedFrame | None:
    """Return an analysed frame with its uncertainty; None: it is not uncertain."""
    uncertainty, reason = meter.rate(step)
    if not reason:
        return None
    time_s = (step.exposed_ns - start_ns) / 1e9
    return QueuedFrame(
        step.camera, step.index, step.exposed_ns, time_s, round(uncertainty, 4), reason
    )


def read_queue(folder: RunFolder, per_hour: int | None = None) -> list[QueuedFrame]:
    """Return the queued frames of a run, the most uncertain first.

    At most `per_hour` of each hour and camera; None: as many as the run queued. A run
    without a queue is computed from its poses. Frames whose image was not saved before the
    program was killed are left out.
    """
    # Passing the frames through a queue again applies another `per_hour`.
    written = folder.queue_path.exists()
    offered = _written(folder) if written else list(_computed(folder))
    most = PER_HOUR if per_hour is None else per_hour
    if written and per_hour is None:
        most = len(offered)
    queues: dict[str, FrameQueue] = {}
    for frame in offered:
        queue = queues.setdefault(frame.camera, FrameQueue(most))
        if queue.takes(frame):
            queue.add(frame)
    chosen = [frame for queue in queues.values() for frame in queue.frames]
    return sorted(chosen, key=lambda frame: frame.rank, reverse=True)


def count_queued(run: Path) -> int:
    """Return how many frames a run has queued; 0 too where its folder can't be read."""
    folder = RunFolder(run)
    try:
        return len(_written(folder)) if folder.queue_path.exists() else 0
    except (OSError, ValueError):
        return 0


def _written(folder: RunFolder) -> list[QueuedFrame]:
    """Return the frames that are in the queue at the end, in order of time."""
    kept: dict[tuple[str, int], QueuedFrame] = {}
    for row in queue_table(folder.queue_path).rows():
        if row["replaces"]:
            kept.pop((row["camera"], int(row["replaces"])), None)
        frame = QueuedFrame(
            row["camera"],
            int(row["frame"]),
            int(row["exposed_ns"]),
            float(row["time_s"]),
            float(row["uncertainty"]),
            row["reason"],
            row["image"],
        )
        kept[frame.camera, frame.frame] = frame
    names = {path.name for path in folder.queue_path.parent.iterdir()}
    return [frame for frame in kept.values() if not frame.image or frame.image in names]


def _computed(folder: RunFolder) -> Iterator[QueuedFrame]:
    start_ns = int(folder.facts["start_ns"])
    for camera in analysed_cameras(folder):
        meter = UncertaintyMeter(folder.thresholds.of(camera))
        for step in folder.steps(camera):
            if (frame := rated(meter, step, start_ns)) is not None:
                yield frame
