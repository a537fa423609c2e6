"""Audit page: raters judge recorded decisions from the video before them."""

import getpass
from collections import deque
from contextlib import suppress
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QHideEvent, QKeyEvent
from PyQt5.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.audit.audit import CLIP_S, Audit
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.gui.audit_clips import (
    AuditClips,
    ClipFrame,
    DecodedClip,
    OpenedAudit,
)
from deeplabstream.gui.widgets.audit_figures import AuditFigures
from deeplabstream.gui.widgets.audit_panel import VERDICT_KEYS, AuditPanel
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.buttons import TICK_MS, PlayButton
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.field_editors import NoWheelBox
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.audit_files import AuditClip, Verdict
from deeplabstream.recording.audit_results import AuditResults, read_results

_AHEAD = 2
"""Number of clips that are decoded before they are shown."""
_HELD_S = 0.8
"""Time for which the decision's frame stays before the clip starts again."""
_RATER_WIDTH = 170  # px
_MOST_SECONDS = 60.0
"""Largest time of a verdict: a longer one was a pause."""


class AuditPage(QWidget):
    """Shows the clips of an audit one after the other; every verdict is stored at once.

    Nothing after a decision is shown, and nothing of another rater's verdicts.

    | shown    | `_clip`    | `_decoded`  |                                       |
    |----------|------------|-------------|---------------------------------------|
    | message  | None       | None        | no run, no rater, or an error         |
    | message  | the clip   | None        | the clip is being decoded             |
    | clip     | the clip   | its frames  | verdicts are accepted                 |
    | figures  | None       | None        | the rater has judged all clips        |
    """

    closed = pyqtSignal()
    """The user returns to the runs."""

    def __init__(self) -> None:
        super().__init__()
        self.clips = AuditClips()
        self.view, self.panel = VideoView(""), AuditPanel()
        self.figures = AuditFigures()
        self.back = QPushButton("Back to runs")
        self.title = Elided()
        self.rater = NoWheelBox()
        self.play, self.overlay = PlayButton(), QPushButton("Overlay (O)")
        self.note = Elided()
        self.at_s = 0.0
        """Shown time relative to the decision; positive: the last frame stays."""
        self._opened: OpenedAudit | None = None
        self._run: Path | None = None
        self._rater = ""
        self._clip: AuditClip | None = None
        self._last: AuditClip | None = None
        """The clip before, whose frames are kept for Undo."""
        self._decoded: DecodedClip | None = None
        self._shown_ns = 0
        """Time at which the clip was shown first."""
        self._seconds: deque[float] = deque(maxlen=100)
        self._clock = SystemClock()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._arrange()
        self._connect()
        self.clear("Choose a run")

    @property
    def clip(self) -> AuditClip | None:
        """The clip that is shown or decoded; None: none."""
        return self._clip

    @property
    def shown(self) -> bool:
        """Whether a clip is shown and can be judged."""
        return self._decoded is not None

    def open(self, run: Path) -> None:
        """Open the audit of a run; without one, a sample is drawn."""
        self.clear("Drawing the sample …")
        self._run = run
        self.figures.search.show_run(run)
        self.title.setText(f"Audit of {run.name}")
        self.clips.open(run)
        self._take_focus()

    def clear(self, text: str) -> None:
        """Show a message instead of a clip."""
        self._opened = self._run = self._last = None
        self._rater = ""
        self._seconds.clear()
        self.rater.clear()
        self.rater.setEnabled(False)
        self.title.setText("")
        self._show_message(text)

    def leave(self) -> None:
        """Close the run; its verdicts are stored."""
        self.clear("Choose a run")
        self.clips.close()

    def release(self) -> None:
        """Close the files of the run, so that they can be moved."""
        self.clear("Choose a run")
        self.figures.search.cancel()
        self.clips.release()

    def finish(self) -> None:
        """End the thread, and the search for settings."""
        self.play.stop()
        self.figures.search.cancel()
        self.clips.finish()

    def use_rater(self, name: str) -> None:
        """Continue with the clips that a rater has not judged."""
        name = " ".join(name.split())
        self.rater.setEditText(name)
        if name == self._rater or self._opened is None:
            return
        self._rater, self._last = name, None
        self._seconds.clear()
        self._show_next()

    def give(self, verdict: Verdict) -> None:
        """Store a verdict on the shown clip, and show the next one."""
        clip, opened = self._clip, self._opened
        if clip is None or opened is None or self._decoded is None:
            return
        seconds = (self._clock.now_ns() - self._shown_ns) / 1e9
        seconds = min(seconds, _MOST_SECONDS)
        try:
            opened.audit.give(clip, self._rater, verdict, seconds)
        except DeepLabStreamError as error:
            self.note.setText(str(error))
            return
        if self._rater not in self._offered_raters:
            self.rater.addItem(self._rater)
        self._seconds.append(seconds)
        self._last = clip
        self._show_next()

    def undo(self) -> None:
        """Take the rater's last verdict back, and show its clip."""
        if self._opened is None or not self._rater:
            return
        try:
            self._opened.audit.undo(self._rater)
        except DeepLabStreamError as error:
            self.note.setText(str(error))
            return
        self._show_next()

    def tick(self) -> None:
        """Show the next frame; after the decision's frame has stayed, start again."""
        self.at_s += TICK_MS / 1000
        if self.at_s > _HELD_S:
            self.at_s = -CLIP_S
        self._show_frame()

    def replay(self) -> None:
        """Pause; when paused, start the clip again."""
        if self.play.isChecked():
            self.play.stop()
        elif self._decoded is not None:
            self.at_s = -CLIP_S
            self.play.setChecked(True)
            self._show_frame()

    def _arrange(self) -> None:
        self.title.setObjectName("heading")
        self.note.setObjectName("problem")
        self.back.setToolTip("verdicts are stored; the audit can be continued later")
        self.rater.setEditable(True)
        self.rater.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.rater.setCompleter(None)  # a name must not become that of another rater
        self.rater.setFixedWidth(_RATER_WIDTH)
        self.rater.setToolTip("name of the rater; verdicts of other raters stay hidden")
        if (line := self.rater.lineEdit()) is not None:
            line.setPlaceholderText("Name of the rater")
        self.overlay.setCheckable(True)
        self.overlay.setToolTip("shows pose, region, state and outputs")
        self.play.setToolTip("pause; replay (Space)")
        for button in (self.back, self.play, self.overlay):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.back)
        top.addWidget(self.title, 1)
        top.addWidget(self.rater)
        controls = QHBoxLayout()
        for widget in (self.play, self.overlay):
            controls.addWidget(widget)
        controls.addWidget(self.note, 1)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(self.view, 1)
        left.addLayout(controls)
        inside = QWidget()
        row = QHBoxLayout(inside)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addLayout(left, 1)
        row.addWidget(self.panel)
        self._stack = QStackedWidget()
        self._stack.addWidget(inside)
        self._stack.addWidget(self.figures)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.clips.opened.connect(self._take_opened)
        self.clips.decoded.connect(self._take_decoded)
        self.clips.computed.connect(self._take_results)
        self.clips.failed.connect(self._show_message)
        self.back.clicked.connect(self.closed)
        self.rater.activated[str].connect(self._enter_rater)
        if (line := self.rater.lineEdit()) is not None:
            line.returnPressed.connect(self.setFocus)
            line.editingFinished.connect(
                lambda: self.use_rater(self.rater.currentText())
            )
        self.figures.search.found.connect(self._take_settings)
        self.panel.given.connect(self.give)
        self.panel.undo.clicked.connect(self.undo)
        self.play.due.connect(self.tick)
        self.play.clicked.connect(self._start_again)
        self.overlay.toggled.connect(self._show_frame)

    def _take_opened(self, opened: OpenedAudit) -> None:
        if opened.audit.run != self._run:
            return
        self._opened = opened
        self.rater.setEnabled(True)
        raters = list(opened.audit.raters)
        self.rater.addItems(raters)
        unfinished = [
            name for name in raters if opened.audit.next_clip(name) is not None
        ]
        self.rater.setEditText("")
        if unfinished:
            self.use_rater(unfinished[-1])
        elif not raters:
            self.use_rater(_login_name())
        else:
            names = ", ".join(raters)
            self._show_message(
                f"Judged by {names}. Choose a name above to see the figures,\n"
                "or enter the name of another rater."
            )
        if self.isVisible():
            self._take_focus()

    @property
    def _offered_raters(self) -> list[str]:
        return [self.rater.itemText(row) for row in range(self.rater.count())]

    def _enter_rater(self, name: str) -> None:
        self.use_rater(name)
        self.setFocus()  # the keys of the verdicts

    def _show_next(self) -> None:
        """Show the first clip that the rater has not judged; after all, the figures."""
        opened = self._opened
        if opened is None:
            return
        audit, rater = opened.audit, self._rater
        if not rater:
            self._show_message("Enter the name of the rater above.")
            return
        open_clips = audit.open_clips(rater)
        count = len(audit.sample.clips)
        judged = count - len(open_clips)
        if not open_clips:
            self._show_message("Computing the figures …")
            self.clips.compute(audit)
        else:
            self._stack.setCurrentIndex(0)
            clip, *following = open_clips[: 1 + _AHEAD]
            last = [self._last] if self._last is not None else []
            self._clip, self._decoded = clip, None
            self.panel.show_clip(clip, opened.text_of(clip))
            self.panel.allow(False)
            self.note.setText("")
            self.clips.request([clip, *following, *last])
            if (decoded := self.clips.ready(clip)) is not None:
                self._take_decoded(decoded)
            else:
                self.play.stop()
                self.view.clear("Decoding …")
        self.panel.show_progress(judged, count, self._seconds)
        self.panel.undo.setEnabled(judged > 0)

    def _take_decoded(self, decoded: DecodedClip) -> None:
        if decoded.clip != self._clip or self._decoded is not None:
            return
        self._decoded = decoded
        self.view.camera = decoded.clip.camera
        self.view.threshold = decoded.threshold
        self.at_s = -CLIP_S
        self._shown_ns = self._clock.now_ns()
        self.panel.allow(True)
        self.play.setChecked(self.isVisible())
        self._show_frame()

    def _show_frame(self) -> None:
        """Show the frame at the present time, with or without the overlay."""
        if (decoded := self._decoded) is None:
            return
        frame = decoded.frame_at(self.at_s)
        drawn = self.overlay.isChecked()
        self.view.zones = tuple(decoded.zones) if drawn else ()
        self.view.levels = frame.levels if drawn else {}
        self.view.states = drawn
        self.view.figures = _figures(frame)
        self.view.show_image(frame.image, frame.index, frame.step if drawn else None)

    def _start_again(self, playing: bool) -> None:
        if playing:
            self.at_s = -CLIP_S
            self._show_frame()

    def _take_results(self, audit: Audit, results: AuditResults) -> None:
        opened = self._opened
        if opened is None or opened.audit is not audit or self._clip is not None:
            return
        with busy(self, "Showing the figures …"):
            self.figures.show_results(results)
            self._stack.setCurrentIndex(1)

    def _take_settings(self, run: Path) -> None:
        """Show the settings that were found, if the figures of their run are shown."""
        if run != self._run or self._stack.currentWidget() is not self.figures:
            return
        try:
            results = read_results(run)
        except DeepLabStreamError as error:
            self._show_message(str(error))
            return
        self.figures.show_results(results)

    def _show_message(self, text: str) -> None:
        self._clip = self._decoded = None
        self.play.stop()
        self._stack.setCurrentIndex(0)
        self.panel.clear()
        self.view.camera = ""
        self.view.clear(text)
        self.note.setText("")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Handle the keys that are listed in `audit_panel.KEYS`."""
        if event is None:
            return
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        key = Qt.Key(event.key())
        if not plain or event.isAutoRepeat():  # a held key judges one clip only
            super().keyPressEvent(event)
        elif key in VERDICT_KEYS:
            self.give(VERDICT_KEYS[key])
        elif key == Qt.Key.Key_Backspace:
            self.undo()
        elif key == Qt.Key.Key_Space:
            self.replay()
        elif key == Qt.Key.Key_O:
            self.overlay.toggle()
        else:
            super().keyPressEvent(event)

    def _take_focus(self) -> None:
        """Let keys judge clips, or enter the name of the rater."""
        named = bool(self._rater) or self._opened is None
        (self if named else self.rater).setFocus()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Stop playback."""
        self.play.stop()
        super().hideEvent(event)


def _figures(frame: ClipFrame) -> str:
    """Return the text beside the frame number."""
    time = "decision" if frame.time_s == 0 else f"{frame.time_s:.2f} s"
    return time if frame.recorded else f"{time}  no image"


def _login_name() -> str:
    with suppress(OSError, KeyError, ImportError):  # the account has no name
        return getpass.getuser()
    return ""
