"""Audit clips: a thread that decodes the video before each audited decision, ahead of its display.

A clip ends with the frame of the decision. No later frame is decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.audit.audit import CLIP_S, Audit, open_audit
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.trigger_shapes import TriggerShape, trigger_shapes_of
from deeplabstream.gui.decision_texts import DecisionTexts
from deeplabstream.plugins.trigger import Trigger, with_combined
from deeplabstream.recording.audit_files import AuditClip
from deeplabstream.settings.loading import parse
from deeplabstream.video.video_reader import VideoCursor, open_video

_FRAME_S = 1 / 30
"""Shortest interval between two frames of a clip: that of the display."""
_MOST_BYTES = 100_000_000
"""Largest size of the images of a clip; four clips are kept."""
_USUAL_SHAPE = 480, 640
_NAMES = "The overlay (O) shows the names."
_PATIENCE_S = 5.0
_MARGIN_S = 1e-6
"""Times of frames are rounded to nanoseconds."""


@dataclass(frozen=True, eq=False)
class ClipFrame:
    """One frame of a clip."""

    index: int
    """The device's count of the frame."""
    time_s: float
    """Time relative to the decision; 0 or negative."""
    image: Image
    recorded: bool
    """False: no video has the frame, or it can't be decoded; its image is black."""
    step: Step | None
    """Pose, and states of the shown triggers; None: not analysed."""
    levels: Mapping[str, float]
    """Levels of the outputs."""


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """The frames of a clip, growing in time; the last one is that of the decision."""

    clip: AuditClip
    frames: Sequence[ClipFrame]
    zones: Sequence[TriggerShape]
    """Outlines of the shown triggers, in px of the images."""
    threshold: float
    """Smallest confidence of a point that the triggers used."""

    def frame_at(self, time_s: float) -> ClipFrame:
        """Return the last frame at a time relative to the decision; the first before it."""
        shown = [frame for frame in self.frames if frame.time_s <= time_s + _MARGIN_S]
        return shown[-1] if shown else self.frames[0]


@dataclass(frozen=True, eq=False)
class OpenedAudit:
    """An audit, and what its clips show beside the image."""

    audit: Audit
    texts: DecisionTexts
    zones: Sequence[TriggerShape] = ()
    """Outlines of all triggers."""
    triggers: Mapping[str, Trigger] | None = None
    """Triggers of the settings; None: the settings are not valid now."""

    def text_of(self, clip: AuditClip) -> str:
        """Return what the trigger or output of a clip is, in words."""
        if clip.kind == "output":
            return self.texts.output(clip.name)
        of = f"\n\nAnimal: {clip.animal}. {_NAMES}" if clip.animal else ""
        return f"{self.texts.trigger(clip.name)}{of}"

    def shown_triggers(self, clip: AuditClip) -> frozenset[str] | None:
        """Return the triggers that a clip shows; None: all, as an output may use any."""
        if clip.kind != "trigger":
            return None
        return frozenset(with_combined(clip.name, self.triggers or {}))


class AuditClips(QThread):
    """Opens the audit of a run, and decodes the requested clips in their order.

    Images of a clip with more than `most_bytes` are reduced.
    """

    opened = pyqtSignal(object)
    """OpenedAudit."""
    failed = pyqtSignal(str)
    """Why an audit or a clip can't be read, or results can't be computed."""
    decoded = pyqtSignal(object)
    """DecodedClip."""
    computed = pyqtSignal(object, object)
    """Audit and AuditResults."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._changed = Condition()
        self._opening: Path | None = None
        self._computing: Audit | None = None
        self._of: OpenedAudit | None = None
        self._wanted: tuple[AuditClip, ...] = ()
        self._ready: dict[int, DecodedClip] = {}
        self._over = self._release = False
        self._cursors: dict[Path, VideoCursor] = {}

    def open(self, run: Path) -> None:
        """Open the audit of a run; without one, a sample is drawn."""
        with self._changed:
            self._drop()
            self._opening = run
            self._changed.notify_all()
        if not self.isRunning():
            self.start()

    def request(self, clips: Sequence[AuditClip]) -> None:
        """Decode these clips in their order, and drop all others."""
        numbers = {clip.number for clip in clips}
        with self._changed:
            self._wanted = tuple(clips)
            for number in [*self._ready]:
                if number not in numbers:
                    del self._ready[number]
            self._changed.notify_all()

    def ready(self, clip: AuditClip) -> DecodedClip | None:
        """Return a clip; None: it is not decoded yet."""
        with self._changed:
            return self._ready.get(clip.number)

    def compute(self, audit: Audit) -> None:
        """Compute and store the results of an audit."""
        with self._changed:
            self._computing = audit
            self._changed.notify_all()

    def close(self) -> None:
        """Drop all requests, and close the videos as soon as possible."""
        with self._changed:
            self._drop()
            self._release = self.isRunning() and not self._over
            self._changed.notify_all()

    def release(self) -> None:
        """Close the videos, and wait for it, so that they can be moved."""
        self.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._release, _PATIENCE_S)

    def finish(self) -> None:
        """End the thread, and wait until it has ended."""
        with self._changed:
            self._drop()
            self._over = True
            self._changed.notify_all()
        self.wait()

    def run(self) -> None:
        """Process requests until `finish`."""
        while True:
            with self._changed:
                self._changed.wait_for(self._has_request)
                if self._over or self._release:
                    self._close_videos()
                    self._release = False
                    self._changed.notify_all()
                    if self._over:
                        return
                    continue
                opening, computing = self._opening, self._computing
                self._opening = self._computing = None
                clip, of = self._next(), self._of

            try:
                if opening is not None:
                    self._open(opening)
                elif computing is not None:
                    self.computed.emit(computing, computing.save_results())
                elif clip is not None and of is not None:
                    self._decode(clip, of)
            except DeepLabStreamError as error:
                # Otherwise the same clip would fail again and again
                with self._changed:
                    self._wanted = tuple(one for one in self._wanted if one != clip)
                self.failed.emit(str(error))

    def _drop(self) -> None:
        self._opening = self._computing = self._of = None
        self._wanted, self._ready = (), {}

    def _has_request(self) -> bool:
        requested = self._opening, self._computing, self._next()
        return self._over or self._release or any(one is not None for one in requested)

    def _next(self) -> AuditClip | None:
        """Return the first requested clip that is not decoded; None: there is none."""
        missing = (clip for clip in self._wanted if clip.number not in self._ready)
        return None if self._of is None else next(missing, None)

    def _open(self, run: Path) -> None:
        self._close_videos()
        opened = _described(open_audit(run))
        with self._changed:
            if self._opening is not None or self._release or self._over:
                return
            self._of = opened
        self.opened.emit(opened)

    def _decode(self, clip: AuditClip, of: OpenedAudit) -> None:
        """Decode a clip; stop as soon as it is not wanted any more."""
        run = of.audit.review
        rows = shown_rows(run.cameras[clip.camera].times_s, of.audit.rows_of(clip))
        decided_s = run.time_of(clip.camera, rows[-1])
        frames = []
        for row in rows:
            with self._changed:
                if self._of is not of or clip not in self._wanted:
                    return
            time_s = run.time_of(clip.camera, row) - decided_s
            frame = self._frame(of, clip, row, self._most_bytes // len(rows))
            frames.append(replace(frame, time_s=time_s))

        shape = run.shape_of(clip.camera) or frames[-1].image.shape[:2]
        scale = _scales(shape, frames[-1].image.shape[:2])
        shown = of.shown_triggers(clip)
        zones = [
            replace(zone, outline=_scaled(zone.outline, scale))
            for zone in of.zones
            if zone.camera == clip.camera and (shown is None or zone.trigger in shown)
        ]
        threshold = run.folder.thresholds.of(clip.camera)
        found = DecodedClip(clip, frames, zones, threshold)
        with self._changed:
            if self._of is not of or clip not in self._wanted:
                return
            self._ready[clip.number] = found
        self.decoded.emit(found)

    def _frame(
        self, of: OpenedAudit, clip: AuditClip, row: int, most_bytes: int
    ) -> ClipFrame:
        """Return a frame with its time since Start Stream."""
        run = of.audit.review
        time_s, step = run.time_of(clip.camera, row), run.step_of(clip.camera, row)
        place = run.video_frame_of(clip.camera, row)
        image = None if place is None else self._image(*place)
        shape = image.shape[:2] if image is not None else run.shape_of(clip.camera)
        recorded, black = image is not None, np.zeros(shape or _USUAL_SHAPE, np.uint8)
        image = _reduced(black if image is None else image, most_bytes)
        if step is not None:
            scale = _scales(shape or _USUAL_SHAPE, image.shape[:2])
            points = _scaled(step.pose.points, scale).astype(np.float32)
            states = _states(step, clip, of.shown_triggers(clip))
            step = replace(step, pose=step.pose.moved(points), triggers=states)
        return ClipFrame(
            index=int(run.cameras[clip.camera].rows["frame"].iat[row]),
            time_s=time_s,
            image=image,
            recorded=recorded,
            step=step,
            levels=run.levels_at(time_s),
        )

    def _image(self, video: Path, row: int) -> Image | None:
        if video not in self._cursors:
            self._cursors[video] = VideoCursor(open_video(video))
            self._cursors[video].reader.prepare_jumps()
        return self._cursors[video].read(row).image

    def _close_videos(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()


def shown_rows(times_s: NDArray[np.float64], rows: range) -> list[int]:
    """Return the rows of a clip that are shown, growing; the last one is always shown.

    Of a fast camera they are one for each interval of the display, backwards from the last.
    `times_s` are the times (row,) of all frames.
    """
    last = rows[-1]
    due_s = times_s[last] - np.arange(round(CLIP_S / _FRAME_S) + 1)[::-1] * _FRAME_S
    found = np.searchsorted(times_s[: last + 1], due_s + _MARGIN_S, side="right") - 1
    return [int(row) for row in np.unique(found[found >= rows[0]])]


def _described(audit: Audit) -> OpenedAudit:
    """Return an audit with the texts and outlines that its clips need."""
    text = audit.review.folder.settings_text
    opened = OpenedAudit(audit, DecisionTexts(text))
    try:
        settings = parse(text, audit.run)
        zones, triggers = trigger_shapes_of(settings), settings.new_triggers()
    except (DeepLabStreamError, OSError):  # the settings are of an earlier version
        return opened
    return replace(opened, zones=zones, triggers=triggers)


def _states(
    step: Step, clip: AuditClip, shown: frozenset[str] | None
) -> dict[str, bool | None]:
    """Return the states of the shown triggers; of the decision, the audited answer.

    It differs from the recorded state where the onset was drawn as sham.
    """
    states = {
        name: answer
        for name, answer in step.answers.items()
        if shown is None or name in shown
    }
    if clip.kind == "trigger" and step.index == clip.frame:
        states[clip.name] = clip.answer
    return states


def _reduced(image: Image, most_bytes: int) -> Image:
    """Return an image that is not larger than a number of bytes, in the same proportions."""
    if image.nbytes <= most_bytes:
        return image
    factor = (most_bytes / image.nbytes) ** 0.5
    height, width = (max(1, int(side * factor)) for side in image.shape[:2])
    reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if image.dtype == np.uint16:
        return np.asarray(reduced, np.uint16)
    return np.asarray(reduced, np.uint8)


def _scales(before: Sequence[int], after: Sequence[int]) -> NDArray[np.float64]:
    """Return the factors of x and y between two image shapes (height, width)."""
    return np.array([after[1] / before[1], after[0] / before[0]])


def _scaled(
    points: NDArray[np.floating], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return positions (…, 2), px, in an image of another size; pixel centres are whole."""
    scaled: NDArray[np.float64] = np.asarray((points + 0.5) * scale - 0.5)
    return scaled
