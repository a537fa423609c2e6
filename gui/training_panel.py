"""The panel that trains a network on a folder of labels, and has the rig use it."""

from pathlib import Path

from PyQt5.QtWidgets import QLineEdit, QPushButton, QSpinBox

from gui.document import Document
from gui.panels import Panel
from gui.program_window import ProgramWindow

FEWEST = 2
"""Labelled pictures: one to learn from, one to be tried on."""


class TrainingPanel(Panel):
    """Trains by `utils/TrainNetwork.py`, in a process of its own."""

    def __init__(self, document: Document) -> None:
        super().__init__("Train")
        self.document = document
        self.labels: Path | None = None
        self.name, self.steps = QLineEdit("mine"), QSpinBox()
        self.name.setToolTip("the network's folder, under models/ beside the settings")
        self.steps.setRange(10, 100_000)
        self.steps.setValue(3000)
        self.steps.setSuffix(" steps")
        self.steps.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.train, self.use = QPushButton("Train"), QPushButton("Use it")
        self.train.setProperty("starts", True)
        for widget in (self.name, self.steps, self.train, self.use):
            self.column.addWidget(widget)
        self.train.clicked.connect(self.begin)
        self.use.clicked.connect(self._use)
        self.name.textChanged.connect(self._show_state)
        self.show_labels(None, 0)

    @property
    def model(self) -> Path:
        """The folder that the network is written to."""
        name = self.name.text().strip() or "mine"
        return self.document.path.parent / "models" / name

    def show_labels(self, folder: Path | None, labelled: int) -> None:
        """Train on these labels, if there are enough."""
        self.labels = folder if labelled >= FEWEST else None
        self._show_state()

    def begin(self) -> None:
        """Start to train; a window shows how it goes."""
        if self.labels is None:
            return
        arguments = ["--data", str(self.labels), "--output", str(self.model)]
        arguments += ["--steps", str(self.steps.value())]
        window = ProgramWindow("Train", "TrainNetwork.py", arguments, self)
        window.ended.connect(self._show_state)
        window.show()

    def _show_state(self) -> None:
        self.train.setEnabled(self.labels is not None)
        self.use.setEnabled((self.model / "model.json").exists())

    def _use(self) -> None:
        self.document.set_word("Pose Estimation", "MODEL", self.model.name)
