"""Calibrating tab: calibrates cameras from videos of a board; shows coverage, errors, refusals."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QButtonGroup, QMenu, QPushButton, QVBoxLayout, QWidget

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.gui.dialogs.program_window import runs_of
from deeplabstream.gui.dialogs.questions import show_message
from deeplabstream.gui.programs import CALIBRATE, Values
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.gui.widgets.program_view import offer
from deeplabstream.gui.widgets.settings_form import names_in
from deeplabstream.programs.calibrate_cameras import (
    COVERAGE,
    FACTS,
    REFUSED_FACTS,
    REFUSED_WORST,
    WORST,
)
from deeplabstream.recording.run_folder import RunFolder

_MOST_RUNS = 12
_IMAGES = ("Coverage", "Worst moment")
_WORD = re.compile(r"[_\-. ]+")
"""What separates words in the name of a file."""


class CalibratingTab(QWidget):
    """Form of the calibration on the left; messages, verdict and images on the right."""

    calibrated = pyqtSignal(object)
    """Path of a calibration that was accepted."""

    def __init__(self, document: Document, models: Path) -> None:
        super().__init__()
        self.document = document
        self.panel = ProgramPanel(CALIBRATE, models)
        self._names: list[str] = []
        """Names that were proposed; others were typed by the user."""
        self._images: dict[str, Path] = {}
        """Images of the last calibration, by the text of their button."""
        self._group = QButtonGroup(self)
        self.buttons = {
            text: offer(self.panel.view, text, lambda text=text: self.show_image(text))  # type: ignore[misc]
            for text in reversed(_IMAGES)
        }
        for button in self.buttons.values():
            button.setProperty("starts", False)
            button.setCheckable(True)
            button.hide()
            self._group.addButton(button)
        self.recording = QPushButton("Videos of a recording …")
        self.recording.setToolTip(
            "a run that was recorded with the cameras; frames are matched by their times"
        )
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._list_runs, menu))
        self.recording.setMenu(menu)
        if isinstance(form := self.panel.form.layout(), QVBoxLayout):
            form.insertWidget(0, self.recording)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.panel.form.changed.connect(self._propose_names)
        self.panel.view.started.connect(self._begin)
        self.panel.view.program.output_received.connect(self._read)
        self.panel.ended.connect(self._end)

    @property
    def output(self) -> Path:
        """File of the calibration."""
        return Path(*self.panel.form.values()["--output"][:1])

    @property
    def videos(self) -> list[Path]:
        """Videos of the cameras."""
        return [Path(name) for name in self.panel.form.values()["Videos"]]

    def take_board(self, values: Values) -> None:
        """Fill in the board that was printed; its squares have to be measured."""
        taken = {
            key: values[key]
            for key in ("--board", "--dictionary", "--marker-share")
            if values.get(key)
        }
        self.panel.form.show_values(taken)

    def take_run(self, run: Path, _checked: bool = False) -> None:
        """Fill in the videos of a run, and the names of its cameras."""
        try:
            videos = videos_of(RunFolder(run))
        except (DeepLabStreamError, OSError) as error:
            show_message(self, str(error))
            return
        if not videos:
            show_message(self, f"{run.name} has no videos.")
            return
        paths = [str(video) for video in videos.values()]
        self.panel.form.show_values({"Videos": paths, "--names": [*videos]})

    def _list_runs(self, menu: QMenu) -> None:
        menu.clear()
        for path in runs_of(self.document.settings, _MOST_RUNS):
            if (action := menu.addAction(path.name)) is not None:
                action.triggered.connect(partial(self.take_run, path))
        if menu.isEmpty() and (action := menu.addAction("no runs yet")) is not None:
            action.setEnabled(False)

    def show_image(self, text: str) -> None:
        """Show an image of the last calibration."""
        file = self._images.get(text)
        if file is not None and file.is_file():
            self.buttons[text].setChecked(True)
            self.panel.plot.show_png(file.read_bytes())
            self.panel.plot.show()

    def _propose_names(self) -> None:
        """Propose cameras of the settings that the files name, else what differs in the names."""
        editor = self.panel.form.editors["--names"]
        if editor.values() not in ([], self._names):
            return
        videos = self.videos
        names = camera_names(videos, names_in(self.document, "Camera"))
        names = names or different_words(videos)
        if names != editor.values():
            self._names = names
            editor.show_values(names)

    def _begin(self) -> None:
        self._images = {}
        for button in self.buttons.values():
            button.hide()

    def _read(self, output: str) -> None:
        """Show the coverage as soon as it is written."""
        file = self.output.with_suffix(COVERAGE)
        if file.name in output:
            self._offer(_IMAGES[0], file)

    def _offer(self, text: str, file: Path) -> None:
        if file.is_file():
            self._images[text] = file
            self.buttons[text].show()
            self.show_image(text)

    def _end(self, code: int) -> None:
        """Show the verdict, and the worst moment."""
        refused = code == 1 and self.output.with_suffix(REFUSED_FACTS).is_file()
        if code and not refused:
            return
        facts = _read_facts(self.output.with_suffix(REFUSED_FACTS if code else FACTS))
        if not facts:
            return
        shown = self.panel.result
        shown.setObjectName("problem" if refused else "")
        repolish(shown)
        shown.setText(verdict_text(facts))
        shown.show()
        measured = "kept_back" in facts or not refused
        if measured:
            self._offer(
                _IMAGES[1], self.output.with_suffix(REFUSED_WORST if code else WORST)
            )
        if not code:
            self.calibrated.emit(self.output)


def videos_of(folder: RunFolder) -> dict[str, Path]:
    """Return the first video of each recorded camera of a run; the program adds later parts."""
    tables = {name: folder.video_tables(name) for name in folder.facts["cameras"]}
    videos = {name: folder.video_of(own[0]) for name, own in tables.items() if own}
    return {name: video for name, video in videos.items() if video.is_file()}


def camera_names(videos: Sequence[Path], cameras: Sequence[str]) -> list[str]:
    """Return the camera whose name each file contains; empty: not for each exactly one.

    >>> camera_names([Path("day1_left.mp4"), Path("day1_top.mp4")], ["top", "left"])
    ['left', 'top']
    >>> camera_names([Path("a.mp4"), Path("top.mp4")], ["top", "left"])
    []
    """
    names = []
    for video in videos:
        fitting = [name for name in cameras if name.lower() in video.stem.lower()]
        longest = [name for name in fitting if len(name) == max(map(len, fitting))]
        if len(longest) != 1:
            return []
        names += longest
    return names if len(set(names)) == len(names) else []


def different_words(videos: Sequence[Path]) -> list[str]:
    """Return the one word in which the names of files differ; empty: there is no such word.

    >>> different_words([Path("board_left.avi"), Path("board_right.avi")])
    ['left', 'right']
    >>> different_words([Path("left.avi"), Path("right.avi")])
    []
    """
    rows = [_WORD.split(video.stem) for video in videos]
    if len(rows) < 2 or len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
        return []
    differing = [words for words in zip(*rows, strict=True) if len({*words}) > 1]
    names = [*differing[0]] if len(differing) == 1 else []
    return names if all(names) and len({*names}) == len(rows) else []


def verdict_text(facts: Mapping[str, Any]) -> str:
    """Return the verdict of a calibration in sentences: errors in mm, or why it is refused."""
    lines = ["Refused:" if facts.get("refused") else "Accepted."]
    lines += [f"• {reason}" for reason in facts.get("refused", ())]
    if kept := facts.get("kept_back"):
        corner, length = kept["corner_mm"], kept["length_share"]
        lines += [
            f"On {kept['moments']} moments that were kept back, {kept['distance_mm']:.0f} mm "
            f"from the cameras, corners are {corner['p50']:.2f} mm off (median), 95 % below "
            f"{corner['p95']:.2f} mm; up to {facts['limit_mm']:.2f} mm is accepted. Lengths "
            f"on the board are wrong by {length['p50']:+.2%} (median), 95 % within "
            f"{length['p95_of_absolute']:.2%}."
        ]
    return "\n".join(lines)


def _read_facts(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # deleted or replaced by another program
        return {}
    return facts if isinstance(facts, dict) else {}
