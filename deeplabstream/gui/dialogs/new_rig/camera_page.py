"""Camera page of the wizard: connected cameras, videos and the simulated mouse."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Image
from deeplabstream.gui.camera_preview import (
    CameraFinder,
    CameraPreview,
    camera_of,
    leave,
    section_of,
)
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.plugins.camera import Device
from deeplabstream.settings.new_rig import CAMERA

_DATA = Qt.ItemDataRole.UserRole
_SIMULATED = {"KIND": "SimulatedCamera", "SEED": "1"}


class CameraPage(RigPage):
    """Connected cameras, with the live image of the selected one."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Camera",
            "Choose a connected camera, a video file, or the simulated mouse. Ctrl and a click "
            "adds another one: the experiment decides on the image that is shown.",
        )
        self.list, self.view = QListWidget(), VideoView("")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.again, self.video = (
            QPushButton("Search again"),
            QPushButton("Video files …"),
        )
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
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

    def use_videos(self, *videos: Path) -> None:
        """Add videos to the list of cameras, select them, and show the first."""
        first = self.list.count()
        for video in videos:
            source = str(video.resolve())
            self._add(
                video.name, {"KIND": "VideoFile", "SOURCE": source, "REPEAT": "yes"}
            )
        if videos:
            self.list.setCurrentRow(first)
        for row in range(first, self.list.count()):
            if (item := self.list.item(row)) is not None:
                item.setSelected(True)

    def take(self) -> str:
        """Take the selected camera."""
        item = self.list.currentItem()
        if item is None:
            return "Choose a camera, a video, or the simulated mouse."
        if self.image is None:
            return self.problem.text() or "Wait for the first frame of the camera."
        others = [each for each in self.list.selectedItems() if each is not item]
        name, *names = names_of([item.text(), *(each.text() for each in others)])
        further = {n: each.data(_DATA) for n, each in zip(names, others, strict=True)}
        self.rig.choices = replace(
            self.rig.choices, camera=item.data(_DATA), name=name, others=further
        )
        self.rig.camera, self.rig.image = item.text(), self.image
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
        names = file_dialogs.open_files(
            self, "A video of each camera", "", VIDEO_FILTER
        )
        self.use_videos(*map(Path, names))


def names_of(labels: Sequence[str]) -> list[str]:
    """Return a name for each camera: what differs in the names of their files or devices.

    >>> names_of(["animal_left.mp4", "animal_right.mp4"])
    ['left', 'right']
    """
    if len(labels) == 1:
        return [CAMERA]
    words = [re.findall(r"[^\W_]+", Path(label).stem) for label in labels]
    while all(own[1:] for own in words) and len({own[0] for own in words}) == 1:
        words = [own[1:] for own in words]
    while all(own[1:] for own in words) and len({own[-1] for own in words}) == 1:
        words = [own[:-1] for own in words]
    names: list[str] = []
    for own in words:
        name = " ".join(own) or CAMERA
        numbered = (f"{name} {number}" for number in count(2))
        names.append(next(n for n in chain([name], numbered) if n not in names))
    return names
