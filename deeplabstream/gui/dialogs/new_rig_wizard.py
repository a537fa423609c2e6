"""Wizard for a new rig: camera, network, region, trigger, output and its test."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
    QWizard,
    QWizardPage,
)

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import check_new, free_path
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import MODELS
from deeplabstream.gui.bridge import PERIOD_MS
from deeplabstream.gui.camera_preview import (
    CameraFinder,
    CameraPreview,
    camera_of,
    leave,
    section_of,
)
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.output_test_dialog import OutputTest
from deeplabstream.gui.shapes import Shape, ShapeKind
from deeplabstream.gui.widgets.region_canvas import RegionCanvas
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.plugins.camera import Device
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.settings.loading import parse
from deeplabstream.settings.new_rig import (
    CAMERA,
    OUTPUT,
    TRIGGER,
    RigChoices,
    model_folders,
)
from deeplabstream.settings.sections import Settings

_DATA = Qt.ItemDataRole.UserRole
_SIMULATED = {"KIND": "SimulatedCamera", "SEED": "1"}
_TOOLS: tuple[ShapeKind, ...] = ("circle", "rectangle", "polygon", "ellipse", "ring")
_NO_PORT = "simulated (no device)"


class NewRigWizard(QWizard):
    """Collects `choices` on several pages; `file` is the settings file that was written."""

    def __init__(self, folder: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self.choices = RigChoices()
        self.file: Path | None = None
        self.setWindowTitle("New rig – DeepLabStream")
        self.setWizardStyle(QWizard.WizardStyle.ClassicStyle)
        self.setOption(QWizard.WizardOption.NoBackButtonOnStartPage)
        self.folder = FolderPage(folder)
        self.camera = CameraPage()
        self.network = NetworkChoicePage()
        self.region = RegionPage()
        self.trigger = TriggerPage()
        self.output = OutputPage()
        self.test = TestPage()
        pages = (
            *(self.folder, self.camera, self.network, self.region),
            *(self.trigger, self.output, self.test),
        )
        for number, page in enumerate(pages, start=1):
            page.setTitle(f"{number} of {len(pages)}  {page.title()}")
            self.addPage(page)
        self.resize(860, 640)

    def settings(self) -> Settings:
        """Return the settings of the choices so far, or raise SettingsError."""
        return parse(self.choices.text(), self.folder.path.parent)

    def done(self, result: int) -> None:
        """Close cameras and outputs; write the rig folder unless the user cancelled."""
        for page in (self.camera, self.region):
            page.stop()
        self.test.stop()
        if result:
            try:
                self.file = self.choices.write(self.folder.path)
            except DeepLabStreamError as error:
                self.test.problem.setText(str(error))
                return
        super().done(result)


class RigPage(QWizardPage):
    """One page; `take` adds its fields to the wizard's choices."""

    def __init__(self, title: str, about: str) -> None:
        super().__init__()
        self.setTitle(title)
        self.setSubTitle(about)
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)

    @property
    def rig(self) -> NewRigWizard:
        """The wizard that contains the page."""
        found = self.wizard()
        assert isinstance(found, NewRigWizard)  # noqa: S101
        return found

    def take(self) -> str:
        """Add the fields to the choices; return why they can't be used; empty: they can."""
        return ""

    def stop(self) -> None:
        """End threads and devices of the page."""

    def validatePage(self) -> bool:  # noqa: N802
        """Allow the next page if the fields can be used."""
        self.problem.setText(self.take())
        return not self.problem.text()


class FolderPage(RigPage):
    """Name and location of the rig folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "Rig folder",
            "A new folder for settings, networks and recordings of this rig.",
        )
        self.line = QLineEdit(str(free_path(folder)))
        self.line.setToolTip("a new or empty folder")
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(browse)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.problem)
        column.addStretch(1)

    @property
    def path(self) -> Path:
        """The folder that was entered."""
        return Path(self.line.text().strip()).expanduser().absolute()

    def take(self) -> str:
        """Check that the folder is new or empty, and can be created."""
        if not self.line.text().strip():
            return "Name a folder."
        try:
            check_new(self.path)
            places = self.path, *self.path.parents
            above = next(place for place in places if place.exists())
        except (DeepLabStreamError, OSError) as error:
            return str(error)
        if not above.is_dir() or not os.access(above, os.W_OK):
            return f"No folder can be created in {above}. Choose another place."
        return ""

    def _browse(self) -> None:
        folder = file_dialogs.new_folder(
            self, "Folder of the rig, new or empty", self.path.parent
        )
        if folder is not None:
            self.line.setText(str(folder))


class CameraPage(RigPage):
    """Connected cameras, with the live image of the selected one."""

    def __init__(self) -> None:
        super().__init__(
            "Camera", "Choose a connected camera, a video file, or the simulated mouse."
        )
        self.list, self.view = QListWidget(), VideoView("")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.again, self.video = (
            QPushButton("Search again"),
            QPushButton("Video file …"),
        )
        self.image: Image | None = None
        """The last frame of the selected camera."""
        self._finder: CameraFinder | None = None
        self._preview: CameraPreview | None = None
        left = QVBoxLayout()
        for widget in (self.list, self.again, self.video):
            left.addWidget(widget)
        right = QVBoxLayout()
        right.addWidget(self.view, 1)
        right.addWidget(self.message)
        right.addWidget(self.problem)
        row = QHBoxLayout(self)
        row.addLayout(left, 2)
        row.addLayout(right, 3)
        self.list.currentItemChanged.connect(self._show)
        self.again.clicked.connect(self.search)
        self.video.clicked.connect(self._choose_video)

    def initializePage(self) -> None:  # noqa: N802
        """Search when the page is shown for the first time."""
        if not self.list.count():
            self.search()

    def search(self) -> None:
        """List the cameras that are connected now."""
        if self._finder is not None and self._finder.isRunning():
            return
        self.stop()
        if self._finder is not None:
            # the devices of the new folder are searched again
            self._finder.disconnect()
        self.list.clear()
        self._add("Simulated mouse (no camera)", _SIMULATED)
        self.message.setText("Searching for cameras …")
        self._finder = CameraFinder()
        self._finder.found.connect(self._add_devices)
        self._finder.finished.connect(self._show_count)
        self._finder.start()

    def use_video(self, video: Path) -> None:
        """Add a video to the list of cameras, and select it."""
        section = {"KIND": "VideoFile", "SOURCE": str(video.resolve()), "REPEAT": "yes"}
        self._add(video.name, section)
        self.list.setCurrentRow(self.list.count() - 1)

    def take(self) -> str:
        """Take the selected camera."""
        item = self.list.currentItem()
        if item is None:
            return "Choose a camera, a video, or the simulated mouse."
        if self.image is None:
            return self.problem.text() or "Wait for the first frame of the camera."
        self.rig.choices = replace(self.rig.choices, camera=item.data(_DATA))
        self.stop()
        return ""

    def stop(self) -> None:
        """Close the camera."""
        if self._preview is not None:
            self._preview.finish()
            self._preview = None
        if self._finder is not None:
            leave(self._finder)

    def _add(self, label: str, section: Mapping[str, str]) -> None:
        item = QListWidgetItem(label)
        item.setData(_DATA, dict(section))
        item.setToolTip("\n".join(f"{key} = {value}" for key, value in section.items()))
        self.list.addItem(item)

    def _add_devices(self, devices: tuple[Device, ...]) -> None:
        for device in devices:
            name = device.label or f"{device.kind} {device.serial}"
            self._add(name, section_of(device))

    def _show_count(self) -> None:
        count = self.list.count() - 1
        if not count:
            self.message.setText(
                "No camera found. Choose a video file or the simulated mouse."
            )
            return
        found = "1 camera" if count == 1 else f"{count} cameras"
        self.message.setText(f"{found} found. Choose one to see its image.")

    def _show(self, item: QListWidgetItem | None) -> None:
        self.image = None
        self.problem.setText("")
        if self._preview is not None:
            self._preview.finish()
            self._preview = None
        if item is None:
            self.view.clear("No camera chosen")
            return
        self.view.clear("Opening …")
        try:
            camera = camera_of(item.data(_DATA))
        except SettingsError as error:
            self._fail("\n".join(error.problems))
            return
        self._preview = CameraPreview(camera)
        self._preview.imaged.connect(self._show_image)
        self._preview.opened.connect(self._show_format)
        self._preview.failed.connect(self._fail)
        self._preview.start()

    def _show_format(self, text: str) -> None:
        self.message.setText(text)

    def _show_image(self, image: Image, number: int) -> None:
        self.image = image
        self.view.show_image(image, number, None)

    def _fail(self, why: str) -> None:
        self.image = None
        self.message.clear()  # the size of an earlier camera
        self.view.clear("No image")
        self.problem.setText(why)

    def _choose_video(self) -> None:
        name = file_dialogs.open_file(self, "A video", "", VIDEO_FILTER)
        if name:
            self.use_video(Path(name))


class NetworkChoicePage(RigPage):
    """Networks of the program and of the rigs in use."""

    def __init__(self) -> None:
        super().__init__(
            "Network",
            "Which network finds the body parts? You can train one of your own later, on "
            "the page Network.",
        )
        self.list, self.message = QListWidget(), QLabel()
        self.message.setWordWrap(True)
        column = QVBoxLayout(self)
        for widget in (self.list, self.message, self.problem):
            column.addWidget(widget)
        for folder in model_folders():
            self.list.addItem(folder.name)
            item = self.list.item(self.list.count() - 1)
            if item is not None:
                item.setData(_DATA, str(folder))
                item.setToolTip(str(folder))
        self.list.currentItemChanged.connect(self._describe)
        self._proposed = ""

    def initializePage(self) -> None:  # noqa: N802
        """Propose the network for the simulated mouse or for a real one."""
        simulated = self.rig.choices.camera["KIND"] == "SimulatedCamera"
        proposed = "arena" if simulated else "openfield"
        found = self.list.findItems(proposed, Qt.MatchFlag.MatchExactly)
        if proposed != self._proposed and found:
            self._proposed = proposed
            self.list.setCurrentItem(found[0])

    @property
    def bodyparts(self) -> tuple[str, ...]:
        """The body parts of the selected network; none: it can't be read."""
        item = self.list.currentItem()
        if item is None:
            return ()
        try:
            return load_model_folder(Path(item.data(_DATA))).skeleton.bodyparts
        except DeepLabStreamError:
            return ()

    def take(self) -> str:
        """Take the selected network."""
        item = self.list.currentItem()
        if item is None or not self.bodyparts:
            return "Choose a network that can be read."
        folder = Path(item.data(_DATA))
        shipped = folder.parent == ROOT / MODELS
        model = folder.name if shipped else str(folder.absolute())
        self.rig.choices = replace(self.rig.choices, model=model)
        return ""

    def _describe(self) -> None:
        parts = ", ".join(self.bodyparts)
        self.message.setText(f"body parts: {parts}" if parts else "It can't be read.")


class RegionPage(RigPage):
    """The region, drawn on the last frame of the camera."""

    def __init__(self) -> None:
        super().__init__(
            "Region",
            "Drag the region or its handles, or choose a shape and draw another one.",
        )
        self.canvas = RegionCanvas(CAMERA)
        self._size: tuple[int, ...] = ()
        """Height and width of the frame on which the region was drawn."""
        self.tools: dict[ShapeKind, QPushButton] = {}
        row = QHBoxLayout()
        for kind in _TOOLS:
            button = QPushButton(kind)
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.clicked.connect(
                lambda _=False, kind=kind: self.canvas.use_tool(kind)
            )
            self.tools[kind] = button
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.problem)
        self.canvas.made.connect(self._make)
        self.canvas.changed.connect(self._change)

    def initializePage(self) -> None:  # noqa: N802
        """Keep the region; for a frame of another size, propose a circle in its middle."""
        image = self.rig.camera.image
        if image is None:
            return
        self.canvas.show_image(image, 0, None)
        size = height, width = image.shape[:2]
        if size != self._size:
            self._size = size
            shape = Shape("circle", (width / 2, height / 2, round(height / 5)))
            self._change(TRIGGER, shape)

    def take(self) -> str:
        """Take the region."""
        shape = self.canvas.shapes[TRIGGER]
        self.rig.choices = replace(self.rig.choices, region=shape.word)
        return ""

    def _make(self, shape: Shape) -> None:
        self.canvas.use_tool(None)
        for button in self.tools.values():
            button.setAutoExclusive(False)
            button.setChecked(False)
            button.setAutoExclusive(True)
        self._change(TRIGGER, shape)

    def _change(self, _name: str, shape: Shape) -> None:
        self.canvas.show_shapes({TRIGGER: shape}, TRIGGER)


class TriggerPage(RigPage):
    """Condition of the trigger, and duration of the experiment."""

    def __init__(self) -> None:
        super().__init__("Trigger", "When is the output on?")
        self.bodypart, self.where = QComboBox(), QComboBox()
        self.dwell, self.minutes = QDoubleSpinBox(), QDoubleSpinBox()
        self.where.addItems(["inside the region", "outside the region"])
        self.dwell.setRange(0, 60)
        self.dwell.setSuffix(" s")
        self.minutes.setRange(0.1, 24 * 60)
        self.minutes.setValue(10)
        self.minutes.setSuffix(" min")
        for box in (self.dwell, self.minutes):
            box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.bodypart.setToolTip("BODYPARTS: the body part that decides")
        self.where.setToolTip("KIND: InsideRegion or OutsideRegion")
        self.dwell.setToolTip(
            "MIN_DWELL_S: time in the region before the trigger is true"
        )
        self.minutes.setToolTip("EXP_TIME_S: duration of the experiment")
        form = QFormLayout(self)
        form.addRow("The output is on while the", self.bodypart)
        form.addRow("is", self.where)
        form.addRow("Minimum dwell time", self.dwell)
        form.addRow("Duration of the experiment", self.minutes)
        form.addRow(self.problem)

    def initializePage(self) -> None:  # noqa: N802
        """List the body parts of the network."""
        shown = self.bodypart.currentText()
        self.bodypart.clear()
        self.bodypart.addItems(self.rig.network.bodyparts)
        self.bodypart.setCurrentText(shown)

    def take(self) -> str:
        """Take body part, condition and duration."""
        self.rig.choices = replace(
            self.rig.choices,
            bodypart=self.bodypart.currentText(),
            outside=self.where.currentIndex() == 1,
            dwell_s=self.dwell.value(),
            minutes=self.minutes.value(),
        )
        return ""


class OutputPage(RigPage):
    """Serial port of the output, or a simulated output."""

    def __init__(self) -> None:
        super().__init__(
            "Output",
            "Serial port of the laser, valve or board. Other kinds of outputs: later, on "
            "the page Settings.",
        )
        self.port, self.baud = QComboBox(), QComboBox()
        self.on, self.off = QLineEdit("H"), QLineEdit("L")
        self.longest, self.pause = QDoubleSpinBox(), QDoubleSpinBox()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.port.setEditable(True)
        self.port.setToolTip("PORT: choose a port that was found, or type one")
        self.baud.addItems(["9600", "57600", "115200", "250000", "1000000"])
        self.baud.setCurrentText("115200")
        self.baud.setToolTip("BAUDRATE: as in the program of the board")
        self.on.setToolTip(r"ON_BYTES: H, on\n or 0x01 0xFF")
        self.off.setToolTip("OFF_BYTES, likewise")
        for box, least_s in ((self.longest, 0.1), (self.pause, 0.0)):
            box.setRange(least_s, 3600)
            box.setValue(5)
            box.setSuffix(" s")
            box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.longest.setToolTip(
            "MAX_ON_S: after this time it is switched off in any case"
        )
        self.pause.setToolTip("REST_S: time off after each time on")
        self._last_longest_s = self.longest.value()
        self.longest.valueChanged.connect(self._change_longest)
        self.pause.valueChanged.connect(self._show_limits)
        self._show_limits()
        self.again = QPushButton("Search again")
        self.again.clicked.connect(self.search)
        form = QFormLayout(self)
        form.addRow("Serial port", self.port)
        form.addRow("", self.again)
        form.addRow("Bits per second", self.baud)
        form.addRow("Sent to switch on", self.on)
        form.addRow("Sent to switch off", self.off)
        form.addRow("Longest time on", self.longest)
        form.addRow("Pause after it", self.pause)
        form.addRow(self.message)
        form.addRow(self.problem)
        self.port.currentTextChanged.connect(self._show_state)

    def initializePage(self) -> None:  # noqa: N802
        """Search when the page is shown for the first time."""
        if not self.port.count():
            self.search()

    def search(self) -> None:
        """List the serial ports that exist now."""
        from serial.tools.list_ports import comports

        shown = self.port.currentText()
        self.port.clear()
        ports = sorted(comports())
        usb = [port for port in ports if port.vid is not None]
        others = [port for port in ports if port.vid is None]  # such as /dev/ttyS0
        for port in (*usb, None, *others):
            self.port.addItem(port.device if port else _NO_PORT)
            if port:
                about = f"{port.device}: {port.description}"
                last = self.port.count() - 1
                self.port.setItemData(last, about, Qt.ItemDataRole.ToolTipRole)
        self.port.setCurrentText(shown or self.port.itemText(0))

    def take(self) -> str:
        """Take the output; return the problems of its settings."""
        port = self.port.currentText().strip()
        section: dict[str, str] = {"KIND": "SimulatedOutput"}
        if not port:
            return "Choose a serial port, or the simulated output."
        if port != _NO_PORT:
            section = {
                "KIND": "SerialLine",
                "PORT": port,
                "BAUDRATE": self.baud.currentText(),
                "ON_BYTES": self.on.text().strip(),
                "OFF_BYTES": self.off.text().strip(),
            }
        self.rig.choices = replace(
            self.rig.choices,
            output=section,
            max_on_s=self.longest.value(),
            rest_s=self.pause.value(),
        )
        try:
            self.rig.settings()
        except SettingsError as error:
            return "\n".join(error.problems)
        return ""

    def _change_longest(self, longest_s: float) -> None:
        """Keep the pause equal to the longest time on until it is set to another value."""
        if self.pause.value() == self._last_longest_s:
            self.pause.setValue(longest_s)
        self._last_longest_s = longest_s
        self._show_limits()

    def _show_limits(self) -> None:
        longest, pause = f"{self.longest.value():g} s", f"{self.pause.value():g} s"
        self.message.setText(
            f"On at most {longest}, then at least {pause} off, also while the trigger is true."
            if self.pause.value()
            else f"No pause: after {longest} it is switched on again at once while the "
            "trigger is true, so it is on almost without a break."
        )

    def _show_state(self) -> None:
        serial = self.port.currentText() != _NO_PORT
        for widget in (self.baud, self.on, self.off):
            widget.setEnabled(serial)


class TestPage(RigPage):
    """One short pulse on the output, and the settings that will be written."""

    __test__ = False  # not a test class for pytest

    def __init__(self) -> None:
        super().__init__(
            "Test",
            "Test the output with one short pulse. Keep the laser away from eyes and animals.",
        )
        self.press, self.message = QPushButton("Test output"), QLabel()
        self.result = QLabel()
        for label in (self.message, self.result):
            label.setWordWrap(True)
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.test = OutputTest()
        self.test.setParent(self)  # STOP finds it
        self.test.reported.connect(self._report)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.press.clicked.connect(self._start)
        column = QVBoxLayout(self)
        for widget in (self.press, self.result, self.page, self.message, self.problem):
            column.addWidget(widget)

    def initializePage(self) -> None:  # noqa: N802
        """Show the settings that will be written, and their folder."""
        self.setFinalPage(True)
        for label in (self.result, self.problem):  # from earlier choices
            label.clear()
        self.message.setText(
            f"Finish writes {self.rig.folder.path}. Then press Start on the page Live."
        )
        self.page.setPlainText(self.rig.choices.text())

    def stop(self) -> None:
        """Switch the output off, and wait for it."""
        self._timer.stop()
        self.test.stop()
        self.test.finish()

    def _start(self) -> None:
        try:
            output = self.rig.settings().outputs[OUTPUT]
        except SettingsError as error:
            self.problem.setText("\n".join(error.problems))
            return
        self.test.start(OUTPUT, output)
        self._timer.start(PERIOD_MS)
        self.completeChanged.emit()

    def _tick(self) -> None:
        self.test.tick()
        if not self.test.running:
            self._timer.stop()
            self.completeChanged.emit()

    def isComplete(self) -> bool:  # noqa: N802
        """Return whether *Finish* is possible: not during a test, whose result would be lost."""
        return not self.test.running and super().isComplete()

    def _report(self, text: str, _tone: str) -> None:
        self.result.setText(text)
