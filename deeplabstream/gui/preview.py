"""Plain windows for the command-line programs: images with their overlay, Q closes."""

from collections.abc import Callable, Sequence

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QKeyEvent
from PyQt5.QtWidgets import QVBoxLayout, QWidget

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.request_queue import RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.trigger_shapes import TriggerShape
from deeplabstream.gui.application import application, run_until_closed
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.widgets.live_display import Display
from deeplabstream.gui.widgets.video_view import VideoGrid

Feed = Callable[[], tuple[Frame, Step | None] | None]
"""Returns the next frame and its step; None after the last one."""


class PreviewWindow(QWidget):
    """Shows one widget; Q or Esc closes it."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self.setWindowTitle(f"{title} – press Q to close")
        self.closed = False
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(content)
        self.resize(960, 720)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Close on Q or Esc."""
        if event is not None and event.key() in (Qt.Key.Key_Q, Qt.Key.Key_Escape):
            self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Record that the window is closed."""
        self.closed = True
        super().closeEvent(event)


def preview_of(session: RigSession, agenda: RequestQueue) -> Bridge:
    """Return a bridge to `session` that requests all of `agenda`."""
    application()
    return Bridge(session, agenda)


def run_preview(
    bridge: Bridge,
    *,
    title: str = "DeepLabStream",
    over: Callable[[], bool] = lambda: False,
) -> None:
    """Show the images of `bridge` until the window is closed or `over` returns True.

    The caller creates the bridge with `preview_of`, connects to its signals before, and
    closes the session after.
    """
    application()
    window = PreviewWindow(title, Display(bridge))

    def close_when_over() -> None:
        if over():
            window.close()

    bridge.ticked.connect(close_when_over)
    bridge.start()
    run_until_closed(window, outputs_off=bridge.outputs_off)
    bridge.stop()
    bridge.ticked.disconnect(close_when_over)


def run_feed(
    feed: Feed,
    camera: str,
    zones: Sequence[TriggerShape] = (),
    *,
    threshold: float = 0.0,
    rate: float = 30.0,
    title: str = "DeepLabStream",
) -> bool:
    """Show the images of `feed`, `rate` per second; return whether it has ended.

    `feed` runs in the window's thread. False: the window was closed before the end.
    """
    application()
    grid = VideoGrid([camera], zones)
    view = grid.views[camera]
    view.threshold = threshold
    window = PreviewWindow(title, grid)
    ended = False

    def show_next() -> None:
        nonlocal ended
        if window.closed:
            return
        shown = feed()
        if shown is None:
            ended = True
            window.close()
        else:
            frame, step = shown
            view.show_image(frame.image, frame.index, step)

    timer = QTimer(window)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(show_next)
    timer.start(round(1000 / rate))
    run_until_closed(window)
    timer.stop()
    return ended
