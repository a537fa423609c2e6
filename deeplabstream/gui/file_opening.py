"""File opening: files and folders that are dropped on the window, and imports."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from PyQt5.QtCore import QMimeData
from PyQt5.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QMessageBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import free_path
from deeplabstream.gui.dialogs.new_rig_wizard import NewRigWizard
from deeplabstream.gui.dialogs.questions import CANCEL, ask, ask_folder, place_to_write
from deeplabstream.pose.importers.script_export import EXPORT_DESCRIPTION
from deeplabstream.pose.importers.sleap_nn_metadata import METADATA
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.settings.ini_reading import read_text
from deeplabstream.settings.text_rewriting import with_camera_kind
from deeplabstream.settings.v1_import.conversion import (
    Imported,
    check_version_1,
    import_file,
    is_version_1,
)
from deeplabstream.training.data.label_folder import FILE
from deeplabstream.training.data.labels import LABELED_DATA
from deeplabstream.training.data.projects import DLC_CONFIG

if TYPE_CHECKING:
    from deeplabstream.gui.main_window import MainWindow

Kind: TypeAlias = Literal[
    "settings",
    "version 1",
    "video",
    "network",
    "foreign network",
    "run",
    "labels",
    "sleap",
    "unknown",
]
_CAMERA, _FRAMES, _USE = "Use as camera", "Pick frames", "Use this network"
_POSES = "Predict poses"
_INI = "Settings (*.ini);;All files (*)"
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".wmv", ".webm")


def paths_of(data: QMimeData | None) -> list[Path]:
    """Return the files and folders of this computer that are dragged."""
    urls = data.urls() if data is not None and data.hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def kind_of(path: Path) -> Kind:
    """Return what a file or folder is; unknown: also what can't be looked into."""
    try:
        return _kind_of(path)
    except OSError:
        return "unknown"


def _kind_of(path: Path) -> Kind:
    if path.is_dir():
        marks: tuple[tuple[Kind, str], ...] = (
            ("run", "run.json"),
            ("network", DESCRIPTION),
            ("foreign network", EXPORT_DESCRIPTION),
            ("foreign network", METADATA),
            ("labels", FILE),
            ("labels", LABELED_DATA),
            ("labels", DLC_CONFIG),
            ("settings", "settings.ini"),
        )
        found = (kind for kind, name in marks if (path / name).exists())
        return next(found, "unknown")
    if path.suffix.lower() in VIDEOS:
        return "video"
    if path.suffix.lower() == ".onnx":
        return "foreign network"
    if path.suffix.lower() == ".slp":
        return "sleap"
    if path.name in ("run.json", DESCRIPTION):
        return kind_of(path.parent)
    if path.suffix.lower() == ".ini":
        try:
            return "version 1" if is_version_1(read_text(path)) else "settings"
        except SettingsError:  # opening it says what is wrong
            return "settings"
    return "unknown"


class FileOpener:
    """Opens each file where it belongs; asks before something is replaced."""

    def __init__(self, window: "MainWindow") -> None:
        self.window = window

    def take(self, paths: list[Path]) -> None:
        """Do with each dropped file or folder what its kind is for."""
        for path in paths:
            kind = kind_of(path)
            actions: dict[Kind, Callable[[Path], object]] = {
                "settings": self._open_settings,
                "version 1": self.import_version_1,
                "video": self._take_video,
                "network": self._use_network,
                "foreign network": self._import_network,
                "run": self.window.open_run,
                "labels": self._open_labels,
                "sleap": self._convert_labels,
            }
            actions.get(kind, self._refuse)(path)

    def make_rig(self) -> None:
        """Lead through the choices of a new rig, then open its settings."""
        window = self.window
        if why := window.menu.kept():
            self._complain(why)
        elif window.menu.may_leave():
            wizard = NewRigWizard(Path.home() / "my_rig", window)
            if wizard.exec_() and wizard.file is not None:
                window.menu.open_again(wizard.file)
                window.show_page("Live")

    def import_version_1(self, old: Path | None = None) -> None:
        """Convert a file of DeepLabStream 1 to a new settings file, and open that."""
        window, document = self.window, self.window.document
        if why := window.menu.kept():
            self._complain(why)
            return
        if not window.menu.may_leave():
            return
        if old is None:
            title = "Import settings.ini or an experiment file of DeepLabStream 1"
            name, _ = QFileDialog.getOpenFileName(window, title, "", _INI)
            if not name:
                return
            old = Path(name)
        try:
            check_version_1(old)
        except SettingsError as error:
            self._complain("\n".join(error.problems))
            return
        folder = document.path.parent
        proposed = free_path(folder / "imported.ini")
        name, _ = QFileDialog.getSaveFileName(
            window,
            f"Save what {old.name} is converted to as",
            str(proposed),
            _INI,
            options=QFileDialog.Option.DontConfirmOverwrite,  # asked below
        )
        path = place_to_write(window, Path(name)) if name else None
        if path is None:
            return
        try:
            made = import_file(old, path.parent, document.text)
            with atomic_file(path) as draft:
                draft.write_text(made.text, encoding="utf-8", newline="\n")
        except SettingsError as error:
            self._complain("\n".join(error.problems))
            return
        except OSError as error:
            self._complain(f"Can't write {path}: {error.strerror or error}")
            return
        window.menu.open_again(path)
        ImportReport(path, made, window).show()

    def _open_settings(self, path: Path) -> None:
        self.window.menu.open_again(path / "settings.ini" if path.is_dir() else path)

    def _take_video(self, video: Path) -> None:
        """Ask what a video is for: a camera of the rig, frames to label, or poses."""
        window, settings = self.window, self.window.document.settings
        answers = [_FRAMES, _POSES, CANCEL]
        if settings is not None:
            answers.insert(0, _CAMERA)
        question = (
            f"{video.name}: use it in place of a camera, pick frames to label, or predict "
            "poses?"
        )
        if settings is not None:
            camera = settings.deciding_camera
            question += f" As camera it replaces [Camera {camera}]; Ctrl+Z undoes that."
        answer = ask(window, question, *answers)
        if answer == _CAMERA and settings is not None:
            source = str(video.resolve())
            words = {"KIND": "VideoFile", "SOURCE": source, "REPEAT": "yes"}
            text = with_camera_kind(
                window.document.text, settings.deciding_camera, words
            )
            window.document.edit(text)
            window.log.add_line(f"Camera {settings.deciding_camera} is now {source}")
        elif answer == _FRAMES:
            window.network_page.ask_frames(video)
        elif answer == _POSES:
            window.network_page.predict_video(video)

    def _use_network(self, path: Path) -> None:
        """Write the model folder into the settings, after a question."""
        window = self.window
        folder = path if path.is_dir() else path.parent
        question = f"Track with the network {folder.name}? Ctrl+Z undoes that."
        if ask(window, question, _USE, CANCEL) == _USE:
            window.document.set_word("Pose Estimation", "MODEL", str(folder.resolve()))
            window.log.add_line(f"Now using the network {folder}. Save to keep it.")

    def _import_network(self, path: Path) -> None:
        self.window.network_page.import_network(path)

    def _open_labels(self, folder: Path) -> None:
        self.window.network_page.open(folder)

    def _convert_labels(self, package: Path) -> None:
        """Ask for a new folder, convert SLEAP's labels, and show them."""
        title = f"New folder for the labels of {package.name}"
        if folder := ask_folder(self.window, title, package.parent):
            self.window.show_page("Network")
            self.window.network_page.convert_labels(package, folder)

    def _refuse(self, path: Path) -> None:
        self._complain(
            f"{path.name} is neither settings (.ini), a video, a network, a run "
            "folder, a folder of labels nor labels of SLEAP (.slp)."
        )

    def _complain(self, text: str) -> None:
        QMessageBox.warning(self.window, "DeepLabStream", text)


class ImportReport(QDialog):
    """What an import could not convert, and what has to be fixed before use."""

    def __init__(self, path: Path, made: Imported, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Imported to {path.name} – DeepLabStream")
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        lines = [f"Written: {path}"]
        for title, sentences in (
            ("Fix before use (page Settings):", made.problems),
            ("Changed or not converted:", made.sentences),
        ):
            lines += ["", title, *(f"• {each}" for each in sentences)] * bool(sentences)
        self.page.setPlainText("\n".join(lines))
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.page, 1)
        column.addWidget(box)
        self.resize(820, 460)
