"""A picture on a monitor, in a window with a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.errors import DeviceError
from outputs.output import Output, Write

OPENING_S = 10.0
"""How long a window may take to appear."""
HANG_S = 1.0
"""A window that has not painted for so long hangs."""


@settings(frozen=True, kw_only=True)
class Screen(Output):
    """A visual stimulus: a picture, or white, on one monitor."""

    reopens: ClassVar[bool] = False  # the window ends with the engine

    monitor: int = Field(0, ge=0, description="0 is the main one")
    full_screen: bool = Field(False, description="cover the whole monitor")
    size: tuple[int, int] = Field(
        (400, 400), description="width, height in pixels where FULL_SCREEN = no"
    )
    image: Path | None = Field(
        None, description="the picture shown while on; empty: all white"
    )
    background: str = Field(
        "#000000",
        pattern="^#[0-9a-fA-F]{6}$",
        description="colour while off and around the picture, as #rrggbb",
    )

    def __post_init__(self) -> None:
        """Refuse a window without an area."""
        if min(self.size) < 1:
            raise ValueError("SIZE: width and height must be above 0")

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Show the window; it takes up to a second to appear."""
        if self.image is not None and not self.image.is_file():
            raise DeviceError(f"there is no picture {self.image}")
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(
            target=_show, args=(self, theirs), name="stimulus window", daemon=True
        )
        process.start()
        theirs.close()
        try:
            _wait_for_window(ours)
            yield _Window(ours).write
        finally:
            ours.close()
            _end(process)


class _Window:
    """Our end of the pipe to a window that is shown."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._unpainted = 0
        self._heard_ns = 0

    def write(self, level: float) -> None:
        """Ask for the picture or the background; the window paints it soon after."""
        now_ns = time.perf_counter_ns()
        try:
            self._pipe.send(level)
            self._unpainted += 1
            while self._pipe.poll():
                self._pipe.recv()
                self._unpainted -= 1
                self._heard_ns = now_ns
        except (OSError, EOFError) as error:
            raise DeviceError("its window was closed") from error
        if self._unpainted == 1:
            self._heard_ns = now_ns
        elif now_ns - self._heard_ns > HANG_S * 1e9:
            raise DeviceError("its window does not answer any more")


def _show(screen: Screen, pipe: Connection) -> None:
    """Be the window's process: Qt is imported in no other."""
    from outputs.screen_window import show

    show(screen, pipe)


def _wait_for_window(pipe: Connection) -> None:
    try:
        said = pipe.recv() if pipe.poll(OPENING_S) else "its window does not appear"
    except (EOFError, OSError) as error:
        where = os.environ.get("DISPLAY", "")
        hint = f" (DISPLAY={where})" if where else ""
        raise DeviceError(
            f"its window can't be shown; is there a screen?{hint}"
        ) from error
    if isinstance(said, str):
        raise DeviceError(said)


def _end(process: BaseProcess) -> None:
    process.join(HANG_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()
