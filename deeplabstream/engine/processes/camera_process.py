"""Camera process: crops and rotates frames, copies them into a ring, reopens a lost camera."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Semaphore
from typing import Any, assert_never

import numpy as np

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError, error_context
from deeplabstream.core.frame import Image
from deeplabstream.engine.processes.child_process import (
    report_errors,
    send_message,
    set_up_child,
)
from deeplabstream.engine.processes.real_time import (
    CAMERA,
    IdleCollection,
    RealTime,
)
from deeplabstream.engine.session.messages import (
    CAMERA_BACK,
    CAMERA_ENDED,
    CAMERA_LOST,
    CameraMessage,
    CameraOpened,
    ChangeControl,
    ControlChanged,
    FillRing,
    ProblemReport,
    Stop,
    ToCamera,
    UnknownMessage,
)
from deeplabstream.ipc.pipe import Connection, Messages, has_message, receive
from deeplabstream.ipc.ring import FrameRing, RingWriter
from deeplabstream.plugins.camera import (
    NO_FRAME_YET,
    SIZING,
    Area,
    Camera,
    CameraControl,
    CameraStream,
    CapturedFrame,
    Value,
    format_value,
    matches_request,
)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Shortest and longest pause between attempts to open a lost camera; each doubles the last."""

REPORT_PAUSE_S = 10.0
"""Shortest interval between two reports of damaged frames, or of jumps of the clock."""


def camera_main(
    name: str,
    camera: Camera,
    pipe: Connection,
    wake: Semaphore | None,
    real_time: bool = True,
) -> None:
    """Open the camera, report its format, wait for `FillRing`, and fill the ring.

    `wake` is released with each frame: the engine's, if it analyses this camera. A camera
    that is lost afterwards is opened again, with growing pauses between the attempts. The
    end of the pipe means `Stop`.
    """
    set_up_child(orphaned=lambda: os._exit(0))
    with report_errors(pipe) as messages:
        process = _CameraProcess(name, camera, messages, wake, real_time)
        process.deliver(camera)
        while not process.stopped:
            process.reopen()


class _CameraProcess:
    def __init__(
        self,
        name: str,
        camera: Camera,
        pipe: Messages,
        wake: Semaphore | None,
        real_time: bool,
    ) -> None:
        self._name, self._camera = name, camera
        self._pipe, self._wake = pipe, wake
        self._real_time_requested = real_time
        self._clock = SystemClock()
        self._from = 0
        """Number of the first frame since the camera was opened last."""
        self._last = -1
        self._last_ns = 0
        self._backoff_s = FIRST_PAUSE_S
        self._damaged = self._damaged_quiet_ns = 0
        self._jumps = self._jumps_quiet_ns = 0
        self._reported: set[str] = set()
        """Reasons reported since the camera was lost."""
        self._requested: tuple[ChangeControl, Camera] | None = None
        """A change for which the camera must be opened again."""
        self._refused = ""
        """Why the camera was not opened with that change."""
        self.stopped = False

    def deliver(self, camera: Camera) -> None:
        """Open a camera, report its format, and fill its ring until it ends."""
        with self._opened(camera) as stream:
            self._camera = camera
            if self._report_opened(stream):
                # after the driver has started its threads
                self._real_time = RealTime(CAMERA, self._real_time_requested)
                self._garbage = IdleCollection()
                try:
                    self._fill(stream)
                finally:
                    self._real_time.end()

    def reopen(self) -> None:
        """Open the camera again: with a requested change, or because it was lost.

        A change that is refused is answered when the camera is open as before: until then
        the session starts no run.
        """
        if self._requested is None:
            self._open_again()
            return
        _, camera = self._requested
        try:
            self.deliver(camera)
        except DeviceError as error:
            if self._requested is not None:  # None: the camera failed after its answer
                self._refused = str(error)
            self.deliver(self._camera)

    @contextmanager
    def _opened(self, camera: Camera) -> Iterator[CameraStream]:
        """Open a camera; its frames are cropped and rotated according to the settings."""
        with error_context(f"Camera {self._name}"), camera.opened() as stream:
            yield transformed(stream, camera)

    def _report_opened(self, stream: CameraStream) -> bool:
        """Report the delivered format and wait for the ring; False: stopped."""
        self._stream = stream
        opened = CameraOpened(
            self._name,
            stream.format,
            stream.knows_losses,
            stream.clock,
            stream.device,
            stream.remarks,
            stream.controls(),
        )
        send_message(self._pipe, opened)

        # The session makes the ring: only it knows how much shared memory the other cameras
        # need.
        while True:
            message = self._received()
            match message:
                case ChangeControl():
                    self._answer(message, None, "wait until the camera is open")
                case Stop():
                    self.stopped = True
                    return False
                case FillRing(ring, start_ns):
                    if start_ns is not None:
                        stream.begin(start_ns)
                    break
                case None:
                    pass
                case _:
                    assert_never(message)

        self._ring = RingWriter(FrameRing(ring))
        self._from, self._last, self._last_ns = 0, -1, 0

        # The change for which the camera was opened again is answered only now: an earlier
        # answer would let the session start a run without frames.
        if self._requested is not None:
            request, self._requested = self._requested[0], None
            problem, self._refused = self._refused, ""
            self._answer(request, stream, problem)
        return True

    def _fill(self, stream: CameraStream) -> None:
        """Copy frames until stopped, the stream is over or the camera is lost."""
        try:
            while True:
                if has_message(self._pipe):
                    self._handle_message(stream)
                    if self.stopped or self._requested is not None:
                        return

                # the driver writes into the ring itself: a frame is not copied again
                captured = stream.read(self._ring.slot())
                if captured is None:
                    break
                # with a trigger line, no frame without a pulse is not a fault
                if captured is NO_FRAME_YET:
                    self._ring.await_trigger()
                    continue

                arrived_ns = self._clock.now_ns()
                self._report_faults(captured, arrived_ns)
                exposed_ns = captured.exposed_ns
                if exposed_ns is None:
                    exposed_ns = arrived_ns

                # published before anything else: the engine waits for this frame
                self._last, self._last_ns = self._from + captured.index, arrived_ns
                self._ring.publish(
                    self._last, exposed_ns, arrived_ns, captured.device_id
                )
                if self._wake is not None:
                    self._wake.release()

                # after the frame is on its way: both may take milliseconds
                self._garbage.idle(arrived_ns)
                for sentence in self._real_time.check(arrived_ns):
                    self._report(sentence)
        except DeviceError as error:
            if self._camera.reopens:
                self._report(f"{CAMERA_LOST} ({error}); trying to open it again")
                return
            text = f"[Camera {self._name}] ends here: {error}"
            send_message(self._pipe, ProblemReport(text, grave=False))

        # The process keeps running: the session would report its end as a failure.
        self._report(CAMERA_ENDED)
        while not self.stopped:
            self._handle_message(None)

    def _report_faults(self, captured: CapturedFrame, now_ns: int) -> None:
        """Report damaged frames and jumps of the clock, at most every `REPORT_PAUSE_S`."""
        pause_ns = round(REPORT_PAUSE_S * 1e9)
        self._damaged += captured.damaged
        if captured.damaged and now_ns >= self._damaged_quiet_ns:
            self._damaged_quiet_ns = now_ns + pause_ns
            self._report(f"delivered damaged frames: {self._damaged} dropped so far")

        self._jumps += bool(captured.clock_jump_ns)
        if captured.clock_jump_ns and now_ns >= self._jumps_quiet_ns:
            self._jumps_quiet_ns = now_ns + pause_ns
            self._report(
                f"set its clock by {captured.clock_jump_ns / 1e9:+.3f} s (jumps so far: "
                f"{self._jumps}). The exposure times of the two frames before are "
                "estimates; let nothing set the camera's clock while it streams"
            )

    def _open_again(self) -> None:
        """Reconnect once, with exponential backoff; frame numbers continue over the gap.

        The frames of the gap, by the camera's rate, count as lost by the device. Each
        reason why the camera cannot be used is reported once.
        """
        if has_message(self._pipe, self._backoff_s):
            self._handle_message(None)
            return

        # doubled each time: a driver that is opened too often may never recover
        self._backoff_s = min(2 * self._backoff_s, LONGEST_PAUSE_S)
        resumed = False
        try:
            with self._opened(self._camera) as stream:
                if self._fits(stream):
                    resumed = True
                    self._resume(stream)
        except DeviceError as error:
            if not resumed:
                reason = str(error).removeprefix(f"[Camera {self._name}] ")
                self._report_once(f"cannot be opened again: {reason}")

    def _fits(self, stream: CameraStream) -> bool:
        """Return whether the frames fit the ring; if they do not, raise an alarm once."""
        now, before = stream.format, self._stream.format
        if (now.shape, now.dtype) == (before.shape, before.dtype):
            return True
        text = (
            f"was opened again, but delivers {now}; the run needs {before}. Restore "
            "that format, or press Stop Stream. The camera is tried again every "
            f"{LONGEST_PAUSE_S:g} s at the latest"
        )
        if self._report_once(text):
            report = ProblemReport(f"[Camera {self._name}] {text}", grave=False)
            send_message(self._pipe, report)
        return False

    def _resume(self, stream: CameraStream) -> None:
        now_ns = self._clock.now_ns()
        # The missing frames get numbers too: a gap in the numbers shows in the record
        # how many are missing.
        gap_s = (now_ns - self._last_ns) / 1e9 if self._last_ns else 0.0
        self._from = self._last + max(1, round(gap_s * stream.format.rate))
        self._backoff_s = FIRST_PAUSE_S
        self._reported.clear()
        self._report(f"{CAMERA_BACK} after {gap_s:.2f} s")
        self._fill(stream)

    def _received(self) -> ToCamera | None:
        """Return the next message; None: it was unknown and was reported as a bug."""
        message = receive(self._pipe)
        if message is None:  # the main process ended
            return Stop()
        if isinstance(message, ToCamera):
            return message
        send_message(self._pipe, UnknownMessage.received(message))
        return None

    def _handle_message(self, stream: CameraStream | None) -> None:
        """Wait for a message and handle it; no stream: the camera delivers no frames."""
        match message := self._received():
            case Stop():
                self.stopped = True
            case ChangeControl():
                if stream is None:
                    self._answer(message, None, "the camera delivers no frames now")
                else:
                    self._change_control(message, stream)
            case FillRing() | None:  # the ring of an open camera is not replaced
                pass
            case _:
                assert_never(message)

    def _change_control(self, request: ChangeControl, stream: CameraStream) -> None:
        key, kind = request.key.upper(), type(self._camera).__name__
        try:
            # `replace` checks the value as settings.ini is checked, before the driver gets it
            changes: dict[str, Any] = {request.key: request.value}
            changed = replace(self._camera, **changes)
            if stream.set_control(request.key, request.value):
                self._camera = changed
                self._answer(request, stream)
            elif request.key not in SIZING:
                text = f"{kind} cannot change {key} while it streams"
                self._answer(request, stream, text)
            elif not request.may_resize:
                text = "it would change the image size within a run; Stop Stream first"
                self._answer(request, stream, text)
            else:
                self._requested = request, changed
        except (DeviceError, ValueError) as error:
            self._answer(request, stream, str(error))

    def _answer(
        self, request: ChangeControl, stream: CameraStream | None, problem: str = ""
    ) -> None:
        """Report the result, with the present values of all controls."""
        controls = stream.controls() if stream is not None else ()
        # a camera that does not report the value is assumed to have set it
        now = next((c.now for c in controls if c.key == request.key), request.value)
        title, key = f"[Camera {self._name}]", request.key.upper()
        requested = f"{key} = {format_value(request.value)}"
        if problem:
            problem = problem.removeprefix(f"{title} ")
            text = f"{title} {requested} was refused: {problem}"
        elif matches_request(now, request.value):
            text = f"{title} {key} is {format_value(now)} now, as requested"
        else:
            text = (
                f"{title} {requested} was requested; the camera set {format_value(now)}"
            )
        done = not problem
        answer = ControlChanged(self._name, request.key, text, done, controls)
        send_message(self._pipe, answer)

    def _report_once(self, text: str) -> bool:
        """Report a reason why the camera is still lost, once; return whether it is new."""
        new = text not in self._reported
        if new:
            self._reported.add(text)
            self._report(text)
        return new

    def _report(self, text: str) -> None:
        send_message(self._pipe, CameraMessage(f"[Camera {self._name}] {text}"))


def transformed(stream: CameraStream, camera: Camera) -> CameraStream:
    """Return the stream with the camera's CROP, ROTATE and FLIP applied, in that order.

    Without any of them frames are not copied. CROP can be moved while the camera streams.
    DeviceError: the crop does not lie in the image.
    """
    frame = _Frame(stream, camera)
    if (camera.rotate, camera.flip, camera.crop) == ("0", "no", None):
        return replace(stream, controls=frame.controls, set_control=frame.set_control)
    form = replace(stream.format, shape=frame.view.shape)
    return replace(
        stream,
        format=form,
        read=frame.read,
        controls=frame.controls,
        set_control=frame.set_control,
    )


class _Frame:
    """Cropped and rotated part of the frames of a stream."""

    def __init__(self, stream: CameraStream, camera: Camera) -> None:
        self._stream, self._camera = stream, camera
        self._raw: Image = np.empty(stream.format.shape, stream.format.dtype)
        self.view = _view(self._raw, camera)

    def read(self, image: Image) -> CapturedFrame | None:
        captured = self._stream.read(self._raw)
        if captured is not None:
            np.copyto(image, self.view)
        return captured

    def controls(self) -> tuple[CameraControl, ...]:
        rows, columns = self._raw.shape[:2]
        whole: Area = (0, 0, columns, rows)
        crop = CameraControl("crop", self._camera.crop or whole, (0, 0, 1, 1), whole)
        return (*self._stream.controls(), crop)

    def set_control(self, key: str, value: Value) -> bool:
        """Move the crop if its size does not change; other controls belong to the device."""
        if key != "crop":
            return self._stream.set_control(key, value)
        if isinstance(value, float | int):
            raise DeviceError("expected x, y, width, height")
        moved = replace(self._camera, crop=value)
        # the size of the frames is that of the ring: a crop of another size needs a new ring
        view, before = _view(self._raw, moved), self._camera.crop
        if view.shape != self.view.shape or (value is None) is not (before is None):
            return False
        self._camera, self.view = moved, view
        return True


def _view(raw: Image, camera: Camera) -> Image:
    """Return the cropped, rotated and mirrored part of `raw`, as a view."""
    if camera.crop is not None:
        x, y, width, height = camera.crop
        rows, columns = raw.shape[:2]
        inside = x >= 0 and y >= 0 and x + width <= columns and y + height <= rows
        if not inside or min(width, height) < 1:
            raise DeviceError(
                f"CROP = {x}, {y}, {width}, {height} does not lie in the frame of "
                f"{columns}×{rows} pixels"
            )
        raw = raw[y : y + height, x : x + width]
    view: Image = np.rot90(raw, -int(camera.rotate) // 90)
    if camera.flip != "no":
        view = np.flip(view, 1 if camera.flip == "horizontal" else 0)
    return view
