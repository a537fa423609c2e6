"""The process of one camera: its film into its ring, and back to it when it was lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.synchronize import Semaphore
from typing import Any

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError, error_context
from deeplabstream.engine.processes.child_process import (
    raise_priority,
    report_errors,
    send_message,
    set_up_child,
)
from deeplabstream.engine.processes.frame_transform import transformed
from deeplabstream.engine.session.messages import (
    CameraOpened,
    CameraTold,
    ChangeControl,
    ControlChanged,
)
from deeplabstream.ipc.pipe import Connection, Messages, has_message
from deeplabstream.ipc.ring import Ring, RingWriter
from deeplabstream.plugins.camera import NOTHING_YET, Camera, CameraStream
from deeplabstream.plugins.camera_controls import SIZING, same, written

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Between tries to open a lost camera again; each pause is twice the one before."""


def camera_main(
    name: str, camera: Camera, pipe: Connection, wake: Semaphore | None
) -> None:
    """Open the camera, tell its format, wait for the ring's spec, and fill the ring.

    `wake` is released with each frame: the engine's, if it analyses this camera.

    A camera that is lost afterwards is opened again and again until it is back. A `ChangeControl`
    in the pipe changes a setting; anything else after the spec, and the pipe's end, mean
    "stop".
    """
    set_up_child(orphaned=lambda: os._exit(0))
    with report_errors(pipe) as messages:
        process = _CameraProcess(name, camera, messages, wake)
        process.film(camera)
        while not process.stopped:
            process.go_on()


class _CameraProcess:
    def __init__(
        self, name: str, camera: Camera, pipe: Messages, wake: Semaphore | None
    ) -> None:
        self._name, self._camera = name, camera
        self._pipe, self._wake = pipe, wake
        self._clock = SystemClock()
        self._from = 0
        """The number of the first shot since the camera was opened last."""
        self._last = -1
        self._last_ns = 0
        self._pause_s = FIRST_PAUSE_S
        self._wish: tuple[ChangeControl, Camera] | None = None
        """For which the camera is to be opened anew."""
        self.stopped = False

    def film(self, camera: Camera) -> None:
        """Open a camera, tell what it gives, and fill its ring as long as that goes."""
        with self._opened(camera) as film:
            self._camera = camera
            if self._introduce(film):
                raise_priority()
                self._fill(film)

    def go_on(self) -> None:
        """Open it anew: as it is wished, or because it was lost."""
        if self._wish is None:
            self._open_again()
            return
        turn, camera = self._wish
        try:
            self.film(camera)
        except DeviceError as error:
            self._wish = None
            self._answer(turn, None, str(error))
            self.film(self._camera)

    @contextmanager
    def _opened(self, camera: Camera) -> Iterator[CameraStream]:
        """Open a camera, its pictures cropped and turned as the settings say."""
        with error_context(f"Camera {self._name}"), camera.opened() as film:
            yield transformed(film, camera)

    def _introduce(self, film: CameraStream) -> bool:
        """Tell what the camera delivers, wait for the ring; False: told to stop."""
        self._film = film
        opened = CameraOpened(
            self._name,
            film.format,
            film.knows_losses,
            film.clock,
            film.device,
            film.remarks,
            film.dials(),
        )
        send_message(self._pipe, opened)
        while isinstance(message := self._received(), ChangeControl):
            self._answer(message, None, "wait until the camera is open")
        if message is None:
            self.stopped = True
            return False
        self._ring = RingWriter(Ring(message))
        self._from, self._last, self._last_ns = 0, -1, 0
        if self._wish is not None:
            turn, self._wish = self._wish[0], None
            self._answer(turn, film)
        return True

    def _fill(self, film: CameraStream) -> None:
        """Copy shot after shot until told to stop, the film is over or the camera lost."""
        try:
            while True:
                if has_message(self._pipe):
                    self._heed(film)
                    if self.stopped or self._wish is not None:
                        return
                shot = film.read(self._ring.slot())
                if shot is None:
                    break
                if shot is NOTHING_YET:
                    self._ring.await_pulse()
                    continue
                arrived_ns = self._clock.now_ns()
                exposed_ns = arrived_ns if shot.exposed_ns is None else shot.exposed_ns
                self._last, self._last_ns = self._from + shot.index, arrived_ns
                self._ring.publish(self._last, exposed_ns, arrived_ns, shot.device_id)
                if self._wake is not None:
                    self._wake.release()
        except DeviceError as error:
            self._say(f"is lost ({error}); trying to open it again")
            return
        self._say("has no more pictures")
        while not self.stopped:
            self._heed(None)

    def _open_again(self) -> None:
        """Wait a while, and try once; the numbers go on as if no frame had been lost.

        The frames of the gap count as lost at the device, as many as its rate makes.
        """
        if has_message(self._pipe, self._pause_s):
            self._heed(None)
            return
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        with suppress(DeviceError), self._opened(self._camera) as film:
            if film.format.shape != self._film.format.shape:
                return
            now_ns = self._clock.now_ns()
            gap_s = (now_ns - self._last_ns) / 1e9 if self._last_ns else 0.0
            self._from = self._last + max(1, round(gap_s * film.format.rate))
            self._pause_s = FIRST_PAUSE_S
            self._say(f"is back after {gap_s:.2f} s")
            self._fill(film)

    def _received(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            return None

    def _heed(self, film: CameraStream | None) -> None:
        """Wait for a message and do as told; no film: there is none that could change."""
        message = self._received()
        if not isinstance(message, ChangeControl):
            self.stopped = True
        elif film is None:
            self._answer(message, None, "it gives no pictures now")
        else:
            self._turn(message, film)

    def _turn(self, turn: ChangeControl, film: CameraStream) -> None:
        key, kind = turn.key.upper(), type(self._camera).__name__
        try:
            changes: dict[str, Any] = {turn.key: turn.value}
            wanted = replace(self._camera, **changes)
            if film.turn(turn.key, turn.value):
                self._camera = wanted
                self._answer(turn, film)
            elif turn.key not in SIZING:
                self._answer(
                    turn, film, f"{kind} can't change its {key} while it films"
                )
            elif not turn.may_resize:
                told = (
                    "it would change the pictures' size within a run; Stop Stream first"
                )
                self._answer(turn, film, told)
            else:
                self._wish = turn, wanted
        except (DeviceError, ValueError) as error:
            self._answer(turn, film, str(error))

    def _answer(
        self, turn: ChangeControl, film: CameraStream | None, problem: str = ""
    ) -> None:
        """Say what came of it, with what the camera says itself."""
        dials = film.dials() if film is not None else ()
        now = next((dial.now for dial in dials if dial.key == turn.key), turn.value)
        title, key = f"[Camera {self._name}]", turn.key.upper()
        if problem:
            problem = problem.removeprefix(f"{title} ")
            text = f"{title} {key} = {written(turn.value)} can't be had: {problem}"
        elif same(now, turn.value):
            text = f"{title} {key} is {written(now)} now, as asked for"
        else:
            asked = f"{key} = {written(turn.value)} was asked for"
            text = f"{title} {asked}; the camera took {written(now)}"
        send_message(
            self._pipe, ControlChanged(self._name, turn.key, text, not problem, dials)
        )

    def _say(self, text: str) -> None:
        send_message(self._pipe, CameraTold(f"[Camera {self._name}] {text}"))
