"""Network choice: a list of networks, and the points of the chosen one on a camera's frames."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.gui.camera_preview import CameraPreview
from deeplabstream.gui.pose_preview import PosePreview, PreviewedPose
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.plugins.camera import Camera
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder

_DATA = Qt.ItemDataRole.UserRole
_LIST_WIDTH = 300  # px
_COUNTED = 50
"""Number of last frames in which each body part is counted."""


class NetworkChoice(QWidget):
    """Lists networks with their purpose, and shows what the chosen one finds.

    `show_camera` opens a camera for the preview, `stop` closes it.
    """

    chosen = pyqtSignal()
    """Another network was chosen."""

    def __init__(self, folders: Iterable[Path]) -> None:
        super().__init__()
        self.list, self.view = QListWidget(), VideoView("")
        self.about, self.found, self.problem = QLabel(), QLabel(), QLabel()
        self.poses: PreviewedPose | None = None
        """Last pose of the chosen network; None: none yet."""
        self._camera: CameraPreview | None = None
        self._network: PosePreview | None = None
        self._visible: deque[NDArray[np.bool_]] = deque(maxlen=_COUNTED)
        """Whether each body part was found, in the last frames."""
        self._models = {folder: _read(folder) for folder in folders}
        for folder, model in self._models.items():
            self._add(folder, model)
        self._arrange()
        self.list.currentItemChanged.connect(self._choose)

    def _arrange(self) -> None:
        self.list.setFixedWidth(_LIST_WIDTH)
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.problem.setObjectName("problem")
        for label in (self.about, self.found, self.problem):
            label.setWordWrap(True)
        left, right = QVBoxLayout(), QVBoxLayout()
        left.addWidget(self.list, 1)
        left.addWidget(self.about)
        right.addWidget(self.view, 1)
        right.addWidget(self.found)
        right.addWidget(self.problem)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(left)
        row.addLayout(right, 1)

    @property
    def folder(self) -> Path | None:
        """The folder of the chosen network; None: none is chosen."""
        item = self.list.currentItem()
        return None if item is None else Path(item.data(_DATA))

    @property
    def model(self) -> ModelFolder | None:
        """The chosen network, or the first of an ensemble; None: it can't be read."""
        return None if self.folder is None else self._models[self.folder]

    def choose(self, name: str) -> bool:
        """Choose a network by the name of its folder; return whether it is listed."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and Path(item.data(_DATA)).name == name:
                self.list.setCurrentRow(row)
                return True
        return False

    def show_camera(self, camera: Camera) -> None:
        """Open a camera, and show its frames with the points of the chosen network."""
        self._close_camera()
        self.view.clear("Opening the camera …")
        self._camera = CameraPreview(camera)
        self._camera.imaged.connect(self._take_image)
        self._camera.failed.connect(self._show_no_camera)
        self._camera.start()
        self._choose()

    def stop(self) -> None:
        """Close the camera and the network."""
        self._close_camera()
        self._close_network()

    def _add(self, folder: Path, model: ModelFolder | None) -> None:
        purpose = model.purpose if model is not None else "It can't be read."
        item = QListWidgetItem(f"{folder.name}\n{purpose}")
        item.setData(_DATA, str(folder))
        item.setToolTip(f"{folder}\n{purpose}")
        self.list.addItem(item)

    def _choose(self) -> None:
        self._close_network()
        self.poses = None
        self._visible.clear()
        self.found.clear()
        self.problem.clear()
        folder, model = self.folder, self.model
        parts = ", ".join(model.skeleton.bodyparts) if model is not None else ""
        self.about.setText(f"body parts: {parts}" if parts else "It can't be read.")
        self.about.setVisible(folder is not None)
        if folder is not None and model is not None and self._camera is not None:
            self.found.setText(f"Loading {folder.name} …")
            self._network = PosePreview(folder)
            self._network.estimated.connect(self._show_pose)
            self._network.failed.connect(self.problem.setText)
            self._network.start()
        self.chosen.emit()

    def _take_image(self, image: Image, number: int) -> None:
        if self._network is not None:
            self._network.put(image, number)
        if self.poses is None:
            self.view.show_image(image, number, None)

    def _show_pose(self, found: PreviewedPose) -> None:
        """Show a pose on the frame that it was found in."""
        self.poses, pose = found, found.pose
        step = Step("", found.number, 0, 0, 0, 0, 0, pose, {}, ())
        self.view.threshold = found.threshold
        self.view.show_image(found.image, found.number, step)
        seen = pose.seen(found.threshold).points
        self._visible.append(np.asarray(~np.isnan(seen[..., 0]).all(axis=0)))
        self.found.setText(self._sentence(pose.skeleton.bodyparts))

    def _sentence(self, bodyparts: tuple[str, ...]) -> str:
        """Return how many body parts are found, now and in the last frames."""
        now, shares = int(self._visible[-1].sum()), np.mean(self._visible, axis=0)
        each = ", ".join(
            f"{name} {share:.0%}" for name, share in zip(bodyparts, shares, strict=True)
        )
        return (
            f"Found in this frame: {now} of {len(bodyparts)} body parts.\n"
            f"Last {len(self._visible)} frames: {each}."
        )

    def _show_no_camera(self, why: str) -> None:
        self.view.clear("No image")
        self.problem.setText(why)

    def _close_camera(self) -> None:
        if self._camera is not None:
            self._camera.finish()
            self._camera = None

    def _close_network(self) -> None:
        if self._network is not None:
            self._network.finish()
            self._network = None


def _read(folder: Path) -> ModelFolder | None:
    try:
        return load_model_folder(next(iter(members(folder)), folder))
    except DeepLabStreamError:
        return None
