"""The process of one camera: its film into its ring, and nothing else."""

import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore

from cameras.camera import Camera, Film
from core.clock import SystemClock
from core.errors import blaming
from core.ring import Ring, RingWriter
from engine.child import reporting, settle, tell
from engine.messages import CameraEnded, CameraOpened


def camera_main(
    name: str, camera: Camera, pipe: Connection, wakes: Sequence[Semaphore]
) -> None:
    """Open the camera, tell its format, wait for the ring's spec, and fill the ring.

    Anything in the pipe after the spec, and the pipe's end, mean "stop".
    """
    settle(orphaned=lambda: os._exit(0))
    with reporting(pipe), blaming(f"Camera {name}"), camera.opened() as film:
        tell(pipe, CameraOpened(name, film.format, film.knows_losses))
        spec = pipe.recv()
        if spec is not None:
            ended = _fill(RingWriter(Ring(spec)), film, pipe, wakes)
            if ended:
                tell(pipe, CameraEnded(name))


def _fill(
    ring: RingWriter, film: Film, pipe: Connection, wakes: Sequence[Semaphore]
) -> bool:
    """Copy shot after shot; return whether the film is over (or was told to stop)."""
    clock = SystemClock()
    while not pipe.poll():
        shot = film.read(ring.slot())
        if shot is None:
            return True
        arrived_ns = clock.now_ns()
        exposed_ns = arrived_ns if shot.exposed_ns is None else shot.exposed_ns
        ring.publish(shot.index, exposed_ns, arrived_ns)
        for wake in wakes:
            wake.release()
    return False
