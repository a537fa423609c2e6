"""Audit panel: the decision to judge, the buttons of the verdicts, and the progress."""

from collections.abc import Mapping, Sequence
from statistics import median

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.recording.audit_files import AuditClip, Verdict

_WIDTH = 272  # px
_USUAL_S = 6.0
"""Expected time for a clip before enough were judged: 100 clips in 10 minutes."""
_ENOUGH = 5
"""Number of verdicts after which their median time is used."""
_RECENT = 20
_LETTERS: Mapping[str, Verdict] = {"R": "right", "W": "wrong", "C": "cannot say"}
_OTHER_KEYS = (
    ("Backspace", "undo the last verdict"),
    ("Space", "pause, replay"),
    ("O", "overlay on, off"),
)
VERDICT_KEYS: Mapping[Qt.Key, Verdict] = {
    Qt.Key(ord(letter)): verdict for letter, verdict in _LETTERS.items()
}
KEYS = (*_LETTERS.items(), *_OTHER_KEYS)
"""Keys of the audit, and their effects."""
_ANSWERS = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}
_RIGHT_IF = {
    True: "Right if the condition holds in the last frame.",
    False: "Right if the condition does not hold in the last frame.",
    None: "Unknown fires nothing. Right if the condition does not hold in the last frame.",
}


class AuditPanel(Panel):
    """Shows what the program decided in a clip, and emits verdicts."""

    given = pyqtSignal(str)
    """Verdict of a button."""

    def __init__(self) -> None:
        super().__init__("Decision")
        self.name, self.condition = QLabel(), QLabel()
        self.answer, self.right_if = QLabel(), QLabel()
        self.buttons = {
            verdict: QPushButton(f"{verdict.capitalize()} ({letter})")
            for letter, verdict in _LETTERS.items()
        }
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("takes your last verdict back (Backspace)")
        self.progress, self.left = QProgressBar(), QLabel()
        self.setFixedWidth(_WIDTH)
        self._arrange()

    def show_clip(self, clip: AuditClip, condition: str) -> None:
        """Show a decision; its verdict can be given with `allow`."""
        what = "Trigger" if clip.kind == "trigger" else "Output"
        self.title.setText(what.upper())
        self.name.setText(clip.name)
        self.condition.setText(condition)
        if clip.kind == "trigger":
            answer, right_if = _ANSWERS[clip.answer], _RIGHT_IF[clip.answer]
        else:
            answer = "SWITCHED ON"
            right_if = "Right if the output should go on in the last frame."
        self._show_answer(answer, clip.answer is True)
        self.right_if.setText(right_if)

    def clear(self) -> None:
        """Show no decision."""
        self.title.setText("DECISION")
        for label in (self.name, self.condition, self.right_if, self.left):
            label.setText("")
        self._show_answer("–", on=False)
        self.progress.reset()
        self.allow(False)
        self.undo.setEnabled(False)

    def _show_answer(self, text: str, on: bool) -> None:
        self.answer.setText(text)
        self.answer.setProperty("on", on)
        repolish(self.answer)

    def allow(self, on: bool) -> None:
        """Enable the verdicts."""
        for button in self.buttons.values():
            button.setEnabled(on)

    def show_progress(self, judged: int, clips: int, seconds: Sequence[float]) -> None:
        """Show how many clips a rater has judged; `seconds`: time of the last ones."""
        self.progress.setRange(0, max(1, clips))
        self.progress.setValue(judged)
        self.left.setText(progress_text(judged, clips, seconds))

    def _arrange(self) -> None:
        self.name.setObjectName("heading")
        self.answer.setObjectName("plate")
        self.answer.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.right_if.setObjectName("caption")
        self.left.setObjectName("caption")
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(10)
        for label in (self.name, self.condition, self.right_if):
            label.setWordWrap(True)
        for label in (self.name, self.condition):  # names and values of the user
            label.setTextFormat(Qt.TextFormat.PlainText)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        inside.setObjectName("clear")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self.condition)
        column.addStretch(1)
        area.setWidget(inside)
        self.column.setSpacing(8)
        self.column.addWidget(self.name)
        self.column.addWidget(area, 1)
        self.column.addWidget(self.answer)
        self.column.addWidget(self.right_if)
        for verdict, button in self.buttons.items():
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _, verdict=verdict: self.given.emit(verdict))
        row = QHBoxLayout()
        row.addWidget(self.buttons["right"])
        row.addWidget(self.buttons["wrong"])
        self.column.addLayout(row)
        row = QHBoxLayout()
        row.addWidget(self.buttons["cannot say"], 1)
        row.addWidget(self.undo)
        self.undo.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.column.addLayout(row)
        keys = QGridLayout()
        keys.setVerticalSpacing(0)
        keys.setColumnStretch(1, 1)
        for place, texts in enumerate(_OTHER_KEYS):
            for at, text in enumerate(texts):
                label = QLabel(text)
                label.setObjectName("caption")
                keys.addWidget(label, place, at)
        self.column.addLayout(keys)
        self.column.addWidget(self.progress)
        self.column.addWidget(self.left)


def progress_text(judged: int, clips: int, seconds: Sequence[float]) -> str:
    """Return the number of judged clips, and the expected time for the others.

    >>> progress_text(40, 100, [5.0, 6.0, 7.0, 6.0, 6.0])
    '40 of 100, about 6 min left'
    >>> progress_text(100, 100, [])
    '100 of 100'
    """
    if judged >= clips:
        return f"{judged} of {clips}"
    recent = list(seconds)[-_RECENT:]
    each_s = median(recent) if len(recent) >= _ENOUGH else _USUAL_S
    minutes = (clips - judged) * each_s / 60
    left = f"about {round(minutes)} min" if minutes >= 1 else "less than 1 min"
    return f"{judged} of {clips}, {left} left"
