"""File opening: files and folders that are dropped on the window, and imports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from PyQt5.QtCore import QMimeData
from PyQt5.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import free_path
from deeplabstream.files.rig_folder import SETTINGS
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.dialogs.new_rig.wizard import NewRigWizard
from deeplabstream.gui.dialogs.questions import (
    CANCEL,
    place_to_write,
    show_message,
    show_question,
)
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.panels import Log
from deeplabstream.pose.importers.script_export import EXPORT_DESCRIPTION
from deeplabstream.pose.importers.sleap_nn_metadata import METADATA
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.example_wells import wells_text
from deeplabstream.settings.ini_reading import read_text
from deeplabstream.settings.text_rewriting import with_camera_kind
from deeplabstream.settings.v1_import.conversion import (
    Imported,
    check_version_1,
    import_file,
    is_version_1,
)
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.label_folder import FILE
from deeplabstream.training.data.labels import LABELED_DATA
from deeplabstream.training.data.predicted_poses import POSE_TABLES
from deeplabstream.training.data.projects import DLC_CONFIG

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
_WELLS_NEXT = """\
The rig is complete, with simulated flies: page Live, Start runs it.

For a plate of your own:
1. Settings, camera plate: choose the Kind of your camera, or a video file.
2. Live: Start Stream.
3. Regions, arenas …: drag the corners onto the middles of the outer wells.
4. Regions: select left half and change it in the first well; all wells have the same.
5. Regions, Draw an animal's length: drag along the longest one.
6. Settings, outputs: choose the Kind of each well's output.
7. Live: Stop Stream, then Start."""
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".wmv", ".webm")


def paths_of(data: QMimeData | None) -> list[Path]:
    """Return the local files and folders of a drag."""
    urls = data.urls() if data is not None and data.hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def kind_of(path: Path) -> Kind:
    """Return the kind of a file or folder; unknown also if it can't be read."""
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
        except SettingsError:  # opening the file reports the problem
            return "settings"
    return "unknown"


class SettingsFiles(Protocol):
    """Opens settings files: the menu of the window."""

    @property
    def kept(self) -> Callable[[], str]:
        """Returns why no other file can be opened now; empty: one can."""

    def may_leave(self) -> bool:
        """Save or discard unsaved changes; False: cancelled."""

    def open_file(self, path: Path) -> None:
        """Open a settings file."""


class NetworkActions(Protocol):
    """Actions for videos, networks and labels: the page Network."""

    def choose_frames(self, video: Path | None = None) -> None:
        """Pick frames of a video."""

    def predict_video(self, video: Path) -> None:
        """Show the form that predicts poses."""

    def import_network(self, source: Path) -> None:
        """Show the form that imports a network."""

    def open(self, folder: Path) -> None:
        """Show a folder of labels."""

    def import_labels(self, labels: Path) -> None:
        """Convert labels of SLEAP, or open a DeepLabCut project."""


@dataclass(frozen=True)
class FileOpener:
    """Opens files on the page for their kind; replacements are confirmed first."""

    window: QWidget
    """Parent of dialogs."""
    document: Document
    log: Log
    settings_files: Callable[[], SettingsFiles]
    network: Callable[[], NetworkActions]
    """Shows the page Network and returns it."""
    show_page: Callable[[str], object]
    open_run: Callable[[Path], object]

    def take(self, paths: list[Path]) -> None:
        """Open each dropped file or folder by its kind."""
        for path in paths:
            kind = kind_of(path)
            actions: dict[Kind, Callable[[Path], object]] = {
                "settings": self._open_settings,
                "version 1": self.import_version_1,
                "video": self._take_video,
                "network": self._use_network,
                "foreign network": self._import_network,
                "run": self.open_run,
                "labels": self._open_labels,
                "sleap": self._import_labels,
            }
            actions.get(kind, self._refuse)(path)

    def make_rig(self) -> None:
        """Create a new rig with the wizard, then open its settings."""
        files = self.settings_files()
        if why := files.kept():
            self._complain(why)
        elif files.may_leave():
            wizard = NewRigWizard(Path.home() / "my_rig", self.window)
            if run_dialog(wizard) and wizard.file is not None:
                files.open_file(wizard.file)
                self.show_page("Live")

    def make_wells(self) -> None:
        """Create a rig of simulated flies in 48 wells, then open its settings."""
        files = self.settings_files()
        if why := files.kept():
            self._complain(why)
            return
        if not files.may_leave():
            return
        title = "New folder for a rig of simulated flies in 48 wells"
        start = Path.home() / "my_wells"
        if folder := file_dialogs.new_folder(self.window, title, start):
            try:
                rig = make_rig(folder, wells_text())
            except DeepLabStreamError as error:
                self._complain(str(error))
                return
            files.open_file(rig / SETTINGS)
            self.show_page("Regions")
            show_message(self.window, _WELLS_NEXT)

    def import_version_1(self, old: Path | None = None) -> None:
        """Convert a file of DeepLabStream 1 to a new settings file, and open it."""
        window, files = self.window, self.settings_files()
        if why := files.kept():
            self._complain(why)
            return
        if not files.may_leave():
            return

        if old is None:
            title = "Import settings.ini or an experiment file of DeepLabStream 1"
            name = file_dialogs.open_file(window, title, "", _INI)
            if not name:
                return
            old = Path(name)
        try:
            check_version_1(old)
        except SettingsError as error:
            self._complain("\n".join(error.problems))
            return

        folder = self.document.path.parent
        proposed = free_path(folder / "imported.ini")
        title = f"Save the converted {old.name} as"
        name = file_dialogs.save_file(window, title, str(proposed), _INI)
        path = place_to_write(window, Path(name)) if name else None
        if path is None:
            return

        try:
            imported = import_file(old, path.parent, self.document.text)
            with atomic_file(path) as draft:
                draft.write_text(imported.text, encoding="utf-8", newline="\n")
        except SettingsError as error:
            self._complain("\n".join(error.problems))
            return
        except OSError as error:
            self._complain(f"Can't write {path}: {error.strerror or error}")
            return
        files.open_file(path)
        ImportReport(path, imported, window).show()

    def _open_settings(self, path: Path) -> None:
        file = path / "settings.ini" if path.is_dir() else path
        self.settings_files().open_file(file)

    def _take_video(self, video: Path) -> None:
        """Use a video as camera, pick frames of it, or predict its poses, as the user chooses."""
        settings = self.document.settings
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
        answer = show_question(self.window, question, *answers)
        if answer == _CAMERA and settings is not None:
            source = str(video.resolve())
            section = {"KIND": "VideoFile", "SOURCE": source, "REPEAT": "yes"}
            camera = settings.deciding_camera
            self.document.edit(with_camera_kind(self.document.text, camera, section))
            self.log.add_line(f"Camera {camera} is now {source}")
        elif answer == _FRAMES:
            self.network().choose_frames(video)
        elif answer == _POSES:
            self.network().predict_video(video)

    def _use_network(self, path: Path) -> None:
        """Write the model folder to the settings, after a confirmation."""
        folder = path if path.is_dir() else path.parent
        question = f"Track with the network {folder.name}? Ctrl+Z undoes that."
        if show_question(self.window, question, _USE, CANCEL) == _USE:
            self.document.set_value("Pose Estimation", "MODEL", str(folder.resolve()))
            self.log.add_line(f"Now using the network {folder}. Save to keep it.")

    def _import_network(self, path: Path) -> None:
        self.network().import_network(path)

    def _open_labels(self, folder: Path) -> None:
        self.network().open(folder)

    def _import_labels(self, package: Path) -> None:
        self.network().import_labels(package)

    def _refuse(self, path: Path) -> None:
        advice = ""
        if path.suffix.lower() in POSE_TABLES:
            advice = (
                " For a table of labels, drop its folder. Predicted poses become a run with "
                f"their video: python utils/ImportRun.py VIDEO {quoted(path)} --to RUN"
            )
        self._complain(
            f"{path.name} is neither settings (.ini), a video, a network, a run "
            f"folder, a folder of labels nor labels of SLEAP (.slp).{advice}"
        )

    def _complain(self, text: str) -> None:
        show_message(self.window, text)


class ImportReport(QDialog):
    """Lists what an import did not convert, and what has to be fixed before use."""

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
            lines += ["", title, *(f"• {text}" for text in sentences)] * bool(sentences)
        self.page.setPlainText("\n".join(lines))
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.page, 1)
        column.addWidget(box)
        self.resize(820, 460)
