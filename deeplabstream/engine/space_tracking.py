"""Space tracking: the poses of several calibrated cameras, as one pose in space per moment.

It runs between pose filtering and triggers. Matching, triangulation and smoothing depend on
poses and times of frames only, so a re-run from the recorded poses gives equal points.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from deeplabstream.core.lens_distortion import Floats
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.pose.filters.one_euro import OneEuro
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.space_checks import read_space_cameras
from deeplabstream.settings.space_section import Space
from deeplabstream.space.calibration_monitor import (
    BLOCK_S,
    WINDOW,
    CalibrationMonitor,
    TurnedSince,
)
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.moment_matching import Moment, MomentMatcher
from deeplabstream.space.pulse_numbering import PulsedFrame, PulseNumbers
from deeplabstream.space.triangulation import triangulate

LEFT_OUT_EVERY = 5
"""The errors by leaving each camera out are computed for one in so many moments."""
_NEVER_NS = -(2**62)

_SINCE = {
    TurnedSince.CALIBRATION: "since the calibration",
    TurnedSince.BEFORE_RUN: (
        "since the calibration, before this run or in its first "
        f"{WINDOW * BLOCK_S:g} seconds"
    ),
    TurnedSince.RUN: "during this run",
}


@dataclass(frozen=True, slots=True)
class _View:
    """Filtered pose of one camera's frame."""

    pose: Pose
    time_ns: int
    """Of its exposure; where its pulse is known, that of the pulse."""
    too_old: bool


@dataclass(frozen=True, slots=True)
class TrackedMoment:
    """A moment that has ended, with the pose in space."""

    pose: SpacePose
    too_old: bool
    """It, or a frame of it, was older than allowed: its triggers are unknown."""
    views: int
    """Number of cameras that gave a view."""
    turned: tuple[str, ...] = ()
    """The camera that has turned, or those that may have: triggers are unknown."""
    alarm: str = ""
    """Sentence on the camera that this moment has shown to have turned."""


class SpaceTracker:
    """Poses in space of one animal. `reset` before a new run.

    `decides`: the experiment decides at the moments.
    """

    def __init__(
        self, cameras: CameraGroup, rules: Space, decides: bool = False
    ) -> None:
        self.cameras = cameras
        self._rules = rules
        self.decides = decides
        self.messages: tuple[str, ...] = ()
        """Alarms that the last frame has given: cameras that missed pulses."""
        self.monitor: CalibrationMonitor | None = None
        if rules.turned_deg:
            self.monitor = CalibrationMonitor(cameras, rules.turned_deg)
        self.reset()

    def reset(self) -> None:
        """Discard the state of earlier frames, also that a camera has turned."""
        if self.monitor is not None:
            self.monitor.reset()
        self.restart()

    def restart(self) -> None:
        """Discard the state of earlier frames; a camera that has turned stays so."""
        rules, names = self._rules, self.cameras.names
        self._moments, self._last_ns = 0, _NEVER_NS
        self._pulses = PulseNumbers(names) if rules.match == "pulses" else None
        self._matcher = MomentMatcher[_View](names, self._pulses is not None)
        self._smoothing = None
        if rules.smooth_hz:
            self._smoothing = OneEuro(rules.smooth_hz, rules.smooth_beta)

    def add(
        self,
        camera: str,
        pose: Pose,
        index: int,
        time_ns: int,
        too_old: bool,
        oldest_ns: float = -inf,
    ) -> TrackedMoment | None:
        """Add the filtered pose of a frame; return the moment that ends with it, if one does.

        `index` is its number at the device, `time_ns` the time of its exposure; a moment before
        `oldest_ns` is too old, as one that lacked a view can be when the next frame ends it.
        """
        self.messages = ()
        if camera not in self.cameras.names:
            return None
        moment = self._matched(camera, index, _View(pose, time_ns, too_old))
        if moment is None:
            return None
        # delays of the cameras differ, so pulses may seem to go back
        earliest_ns = min(view.time_ns for view in moment.views.values())
        time_ns = self._last_ns = max(earliest_ns, self._last_ns + 1)
        any_too_old = any(view.too_old for view in moment.views.values())
        pixels, confidence = self._arrays(moment, len(pose.skeleton.bodyparts))
        alarm, monitor = "", self.monitor
        if monitor is not None and monitor.add(pixels, time_ns):
            alarm = turned_sentence(monitor)
        return TrackedMoment(
            self._pose(time_ns, pose.skeleton, pixels, confidence),
            any_too_old or time_ns < oldest_ns,
            len(moment.views),
            monitor.turned if monitor is not None else (),
            alarm,
        )

    @property
    def matches_pulses(self) -> bool:
        """Whether frames are matched by pulses (MATCH = pulses)."""
        return self._pulses is not None

    def expected_pulse(
        self, camera: str, index: int, time_ns: int
    ) -> PulsedFrame | None:
        """Return the pulse that a camera's next frame will get; None: it is not certain."""
        if self._pulses is None:
            return None
        return self._pulses.expected(camera, index, time_ns)

    def _matched(self, camera: str, index: int, view: _View) -> Moment[_View] | None:
        """Add a view to its moment; one whose pulse is not certain belongs to none."""
        if self._pulses is None:
            return self._matcher.add(camera, view.time_ns, view)
        pulsed = self._pulses.add(camera, index, view.time_ns)
        self.messages = self._pulses.messages
        if pulsed is None:
            return None
        view = replace(view, time_ns=pulsed.time_ns)
        return self._matcher.add(camera, pulsed.number, view)

    def _arrays(self, moment: Moment[_View], count: int) -> tuple[Floats, Floats]:
        """Return x, y (camera, body part, 2) and confidence of a moment; NaN: not seen."""
        names = self.cameras.names
        pixels = np.full((len(names), count, 2), np.nan)
        confidence = np.zeros((len(names), count))
        for place, name in enumerate(names):
            view = moment.views.get(name)
            if view is not None and len(view.pose.points):
                pixels[place] = view.pose.points[0]
                confidence[place] = view.pose.confidence[0]
        return pixels, confidence

    def _pose(
        self,
        time_ns: int,
        skeleton: Skeleton,
        pixels: Floats,
        confidence: Floats,
    ) -> SpacePose:
        """Return the pose in space at a time; every point is NaN with a single view."""
        names = self.cameras.names
        # held points have the confidence of the frame on which they were missing
        weights = np.where(np.isfinite(confidence), np.maximum(confidence, 1e-3), 0.0)

        leave_out = self._moments % LEFT_OUT_EVERY == 0
        self._moments += 1
        found = triangulate(
            self.cameras,
            pixels,
            weights,
            self._rules.limit_px,
            leave_out=leave_out,
        )
        points = found.points.astype(np.float32)
        if self._smoothing is not None:
            points = self._smoothing.step(points, time_ns / 1e9)
        used = found.used
        number = used.sum(axis=0)
        sure = np.where(used, confidence, 0.0).sum(axis=0) / np.maximum(number, 1)
        return SpacePose(
            skeleton,
            names,
            time_ns,
            points,
            found.error_mm.astype(np.float32),
            found.reprojection_px.astype(np.float32),
            np.where(number > 0, sure, np.nan).astype(np.float32),
            used,
            found.left_out_px.astype(np.float32),
        )


def turned_sentence(monitor: CalibrationMonitor) -> str:
    """Return the alarm of a camera that has turned."""
    which = " or ".join(f"[Camera {name}]" for name in monitor.turned)
    return (
        f"{which} has turned by about {monitor.turned_deg:.1f}° "
        f"{_SINCE[monitor.turned_since]}: all triggers in space are unknown; turn it back "
        "or calibrate again, then start the stream again"
    )


def space_tracker_of(settings: Settings) -> SpaceTracker | None:
    """Return the tracker that the settings describe; None: no points in space.

    SettingsError: the calibration can't be used.
    """
    if settings.space.calibration is None:
        return None
    return SpaceTracker(
        read_space_cameras(settings), settings.space, settings.decides_in_space
    )
