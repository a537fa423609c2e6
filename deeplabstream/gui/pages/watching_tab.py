"""Watching tab: shows the board live in all cameras with its coverage, and records it."""

from collections.abc import Callable
from pathlib import Path

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.board_watch import BoardWatch, Watched
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.programs import Values
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.program_form import FORM_WIDTH
from deeplabstream.gui.widgets.video_view import VideoGrid
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.live_views import (
    missing_lines,
    pair_lines,
)
from deeplabstream.offline.camera_calibration.view_coverage import coverage_share
from deeplabstream.programs.board_options import numbers_of_squares

_ABOUT = (
    "Start the cameras, record, and move the board slowly: near and far, tilted, to the edges "
    "of each image, where two cameras see it. Parts of an image without a corner yet are red. "
    "At the end, lay the board flat on the floor for a second. No output is switched meanwhile."
)
_RUNS = "An experiment runs or is armed. Stop it first: the board is not looked for meanwhile."
_NO_BOARD = (
    "The board is not known. Enter its squares, such as 8x11, on the tab Calibrate, or print "
    "one on the tab Board."
)
_ENOUGH = (
    "All cameras have seen enough. Lay the board on the floor, and end the recording."
)


class WatchingTab(QWidget):
    """Images with corners and coverage, what is missing, and buttons to record."""

    recorded = pyqtSignal(object)
    """Path of the run folder with the videos of a recording that has ended."""

    def __init__(self, bridge: Bridge, board: Callable[[], Values]) -> None:
        super().__init__()
        self.bridge = bridge
        self._board = board
        self._images = QVBoxLayout()
        self.watch: BoardWatch | None = None
        self._wanted = self._ending = False
        self.grid = VideoGrid(bridge.session.cameras)
        self.grid.clear("Start the cameras")
        self.begin = QPushButton("Start the cameras")
        self.record = QPushButton("Record")
        self.record.setProperty("starts", True)
        self.message = QLabel()
        self.views = QLabel()
        self.pairs = QLabel()
        self._arrange()
        self.begin.clicked.connect(lambda: self.toggle())
        self.record.clicked.connect(lambda: self.toggle_recording())
        bridge.status_changed.connect(self._follow)
        bridge.imaged.connect(self._offer)
        bridge.settings_changed.connect(self._renew)
        self._follow(bridge.session.state)

    def toggle(self) -> None:
        """Start the cameras, and looking for the board; or stop both."""
        state = self.bridge.session.state
        if self.watch is not None or self._wanted:
            self._stop_watch()
            if state.idle:
                self.bridge.do(Action.STOP_STREAM)
        elif _fires(state):
            self.message.setText(_RUNS)
        elif self._readable_board() is not None:
            self._wanted = True
            if state.phase is Phase.IDLE:
                self.grid.clear("Opening the cameras …")
                self.bridge.do(Action.START_STREAM)
        self._follow(self.bridge.session.state)

    def toggle_recording(self) -> None:
        """Start the recording; or end it with the stream, so that its videos are complete."""
        state = self.bridge.session.state
        if state.recording or state.recording_starting:
            self._ending = True
            self._stop_watch()
            self.bridge.do(Action.STOP_RECORDING)
            self.bridge.do(Action.STOP_STREAM)
        else:
            self.bridge.do(Action.START_RECORDING)
        self._follow(self.bridge.session.state)

    def finish(self) -> None:
        """End the thread."""
        self._stop_watch()

    def _arrange(self) -> None:
        left = Panel("Record")
        left.setFixedWidth(FORM_WIDTH)
        about = QLabel(_ABOUT)
        about.setObjectName("caption")
        for label in (about, self.message, self.views, self.pairs):
            label.setWordWrap(True)
        left.column.addWidget(about)
        left.column.addSpacing(8)
        left.column.addWidget(self.message)
        left.column.addWidget(self.views)
        left.column.addWidget(self.pairs)
        left.column.addStretch(1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.begin)
        buttons.addWidget(self.record)
        left.column.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        self._images.addWidget(self.grid, 1)
        row.addLayout(self._images, 1)

    def _renew(self) -> None:
        """Show the cameras of other settings."""
        old, self.grid = self.grid, VideoGrid(self.bridge.session.cameras)
        self.grid.clear("Start the cameras")
        self._images.replaceWidget(old, self.grid)
        old.deleteLater()

    def _follow(self, state: SessionState) -> None:
        if self.watch is not None and _fires(state):
            self._stop_watch()
            self.message.setText(_RUNS)
        streams = state.phase is Phase.STREAMING
        if self._wanted and streams and self.watch is None:
            self._start_watch()
        if state.phase is Phase.IDLE:
            self.grid.clear("Start the cameras")
            if self.watch is not None:
                self._stop_watch()
            if self._ending and state.run_folder is not None:
                self._ending = False
                self.recorded.emit(Path(state.run_folder))
        records = state.recording or state.recording_starting
        self.begin.setText(
            "Stop" if self.watch or self._wanted else "Start the cameras"
        )
        self.begin.setEnabled(not records and state.phase is not Phase.STOPPING)
        self.record.setText("End and calibrate" if records else "Record")
        needed = Action.STOP_RECORDING if records else Action.START_RECORDING
        self.record.setEnabled(needed in state.allowed and self.watch is not None)

    def _start_watch(self) -> None:
        self._wanted = False
        board = self._readable_board()
        if board is None:
            return
        self.watch = BoardWatch(board, tuple(self.bridge.session.cameras))
        self.watch.watched.connect(self._show)
        self.watch.start()
        self.message.setText("Show the board to the cameras.")

    def _readable_board(self) -> CharucoBoard | None:
        """Return the board of the tab Calibrate; None, with a message: it has none."""
        values = self._board()
        if not any(values.get("--board", ())):
            self.message.setText(_NO_BOARD)
            return None
        try:
            return board_of(values)
        except DeepLabStreamError as error:
            self.message.setText(f"{error}. Correct the board on the tab Calibrate.")
            return None

    def _stop_watch(self) -> None:
        self._wanted = False
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.finish()

    def _offer(self, frame: Frame, _step: object) -> None:
        if self.watch is not None:
            self.watch.offer(frame)

    def _show(self, watched: Watched) -> None:
        views = watched.views
        for name, image in watched.images.items():
            self.grid.views[name].show_image(image, None, None)
        self.message.setText("\n".join(missing_lines(views) or [_ENOUGH]))
        counts = zip(
            views.names, views.seen.sum(axis=1), coverage_share(views), strict=True
        )
        self.views.setText(
            "\n".join(
                f"{name}: {seen} views, corners in {share:.0%} of the image"
                for name, seen, share in counts
            )
        )
        pairs = pair_lines(views)
        self.pairs.setText("\n".join(["Seen together:", *pairs] if pairs else []))


def board_of(values: Values) -> CharucoBoard:
    """Return the board that the form of the calibration describes; its size does not matter."""
    columns, rows = numbers_of_squares("".join(values.get("--board", ())[:1]))
    words = {
        key: "".join(values.get(key, ())[:1])
        for key in ("--dictionary", "--marker-share")
    }
    return CharucoBoard(
        columns,
        rows,
        1.0,
        words["--dictionary"] or CharucoBoard.dictionary,
        float(words["--marker-share"] or CharucoBoard.marker_share),
    )


def _fires(state: SessionState) -> bool:
    """Return whether outputs may be switched: an experiment runs, starts or is armed."""
    return state.experimenting or state.experiment_starting or state.armed
