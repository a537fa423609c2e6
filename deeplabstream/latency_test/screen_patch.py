"""Screen patch of the latency test: it flashes at random phases, with the times of painting."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Sensed
from deeplabstream.latency_test.led_rig import PATCH, Wiring
from deeplabstream.plugins.discovery import discover, plugin_package
from deeplabstream.plugins.output import AcknowledgingWrite, DeviceReport, Output

SIDE = 400
"""Side of a patch that does not cover the monitor, px."""
_DARK = (0.3, 0.7)
"""Shortest and longest time between two flashes, in mean intervals; a flash lasts half of one."""
_CHECK_S = 0.005

News = Callable[[], list[Sensed]]
"""Returns the edges of the patch since the last call; DeviceError: its window failed."""


class ScreenPatch:
    """A window that is white while the patch is lit, otherwise black."""

    def __init__(self, write: AcknowledgingWrite, name: str) -> None:
        self._write, self._name = write, name
        self._edges: deque[Sensed] = deque()
        self._problem: Exception | None = None
        self._count = 0
        write.on_report = self._receive

    @contextmanager
    def flashing(self, every_s: float) -> Iterator[News]:
        """Flash in another thread during the block; afterwards the patch is dark."""
        over = threading.Event()
        thread = threading.Thread(target=self._flash, args=(every_s, over), name=PATCH)
        thread.start()
        try:
            yield self._news
        finally:
            over.set()
            thread.join()
            self._edges.clear()

    def _news(self) -> list[Sensed]:
        if isinstance(self._problem, DeviceError):
            raise DeviceError(f"{self._name}: {self._problem}") from self._problem
        if self._problem is not None:
            raise self._problem
        return [self._edges.popleft() for _ in range(len(self._edges))]

    def _flash(self, every_s: float, over: threading.Event) -> None:
        draw = np.random.default_rng()
        try:
            while not over.is_set():
                self._show(0.0, draw.uniform(*_DARK) * every_s, over)
                self._show(1.0, 0.5 * every_s, over)
            self._show(0.0, 0.0, over)
        # raised by `_news`, in the thread of the test
        except Exception as error:
            self._problem = error

    def _show(self, level: float, seconds: float, over: threading.Event) -> None:
        clock = SystemClock()
        self._write(level)
        end_s = clock.now_ns() / 1e9 + seconds
        while (left_s := end_s - clock.now_ns() / 1e9) > 0 and not over.is_set():
            over.wait(min(left_s, _CHECK_S))
            self._write.check()

    def _receive(self, report: DeviceReport) -> None:
        active = report.level > 0
        self._count += active
        times = report.acted_ns, report.received_ns
        self._edges.append(Sensed(PATCH, active, self._count, *times))


@contextmanager
def screen_patch(wiring: Wiring) -> Iterator[ScreenPatch | None]:
    """Show the dark patch of a test; None: the test has no screen.

    DeviceError: the screen does not exist.
    """
    if wiring.screen is None:
        yield None
        return
    options: dict[str, Any] = {
        "monitor": wiring.screen,
        "full_screen": wiring.full_screen,
        "size": (SIDE, SIDE),
    }
    kinds = discover(plugin_package("outputs"), Output)  # type: ignore[type-abstract]
    window = kinds.classes["Screen"](**options)
    with ExitStack() as stack:
        try:
            write = stack.enter_context(window.opened())
        except DeviceError as error:
            raise DeviceError(f"{wiring.flash_place}: {error}") from error
        if not isinstance(write, AcknowledgingWrite):
            raise TypeError(f"{write!r} reports no times of painting")
        yield ScreenPatch(write, wiring.flash_place)
