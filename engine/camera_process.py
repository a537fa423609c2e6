"""The process of one camera: its film into its ring, and back to it when it was lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore

from cameras.camera import NOTHING_YET, Camera, Film
from cameras.framing import framed
from core.clock import SystemClock
from core.errors import DeviceError, blaming
from core.ring import Ring, RingWriter
from engine.child import hurry, reporting, settle, tell
from engine.messages import CameraOpened, CameraTold

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Between tries to open a lost camera again; each pause is twice the one before."""


def camera_main(
    name: str, camera: Camera, pipe: Connection, wake: Semaphore | None
) -> None:
    """Open the camera, tell its format, wait for the ring's spec, and fill the ring.

    `wake` is released with each frame: the engine's, if it analyses this camera.

    A camera that is lost afterwards is opened again and again until it is back. Anything
    in the pipe after the spec, and the pipe's end, mean "stop".
    """
    settle(orphaned=lambda: os._exit(0))
    with reporting(pipe):
        process = _CameraProcess(name, camera, pipe, wake)
        with process.opened() as film:
            if not process.introduce(film):
                return
            hurry()
            process.fill(film)
        while process.lost:
            process.open_again()


class _CameraProcess:
    def __init__(
        self, name: str, camera: Camera, pipe: Connection, wake: Semaphore | None
    ) -> None:
        self._name, self._camera = name, camera
        self._pipe, self._wake = pipe, wake
        self._clock = SystemClock()
        self._from = 0
        """The number of the first shot since the camera was opened last."""
        self._last = -1
        self._last_ns = 0
        self._pause_s = FIRST_PAUSE_S
        self.lost = False

    @contextmanager
    def opened(self) -> Iterator[Film]:
        """Open the camera, its pictures cropped and turned as the settings say."""
        with blaming(f"Camera {self._name}"), self._camera.opened() as film:
            yield framed(film, self._camera)

    def introduce(self, film: Film) -> bool:
        """Tell what the camera delivers, wait for the ring; False: told to stop."""
        self._film = film
        opened = CameraOpened(
            self._name,
            film.format,
            film.knows_losses,
            film.clock,
            film.device,
            film.remarks,
        )
        tell(self._pipe, opened)
        try:
            spec = self._pipe.recv()
        except EOFError:
            return False
        if spec is None:
            return False
        self._ring = RingWriter(Ring(spec))
        return True

    def fill(self, film: Film) -> None:
        """Copy shot after shot until told to stop, the film is over or the camera lost."""
        self.lost = False
        try:
            while not self._pipe.poll():
                shot = film.read(self._ring.slot())
                if shot is None:
                    self._say("has no more pictures")
                    self._pipe.poll(None)
                    return
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
            self.lost = True
            self._say(f"is lost ({error}); trying to open it again")

    def open_again(self) -> None:
        """Wait a while, and try once; the numbers go on as if no frame had been lost.

        The frames of the gap count as lost at the device, as many as its rate makes.
        """
        if self._pipe.poll(self._pause_s):
            self.lost = False
            return
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        try:
            with self.opened() as film:
                if film.format.shape != self._film.format.shape:
                    return
                now_ns = self._clock.now_ns()
                gap_s = (now_ns - self._last_ns) / 1e9 if self._last_ns else 0.0
                self._from = self._last + max(1, round(gap_s * film.format.rate))
                self._pause_s = FIRST_PAUSE_S
                self._say(f"is back after {gap_s:.2f} s")
                self.fill(film)
        except DeviceError:
            self.lost = True

    def _say(self, text: str) -> None:
        tell(self._pipe, CameraTold(f"[Camera {self._name}] {text}"))
