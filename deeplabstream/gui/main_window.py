"""Main window: navigation bar on the left, the chosen page beside it."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt5.QtCore import QByteArray, QSettings, Qt, QTimer
from PyQt5.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
    QResizeEvent,
    QShowEvent,
)
from PyQt5.QtWidgets import (
    QAbstractButton,
    QAction,
    QApplication,
    QDialog,
    QHBoxLayout,
    QMainWindow,
    QShortcut,
    QStackedWidget,
    QWidget,
)

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import SettingsError
from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.alarm_sound import AlarmSound
from deeplabstream.gui.application import use_palette
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.dialog_input import (
    StopInput,
    dialog_in_front,
    keep_usable,
)
from deeplabstream.gui.dialogs.output_test_dialog import OutputTest
from deeplabstream.gui.dialogs.questions import show_message, show_question
from deeplabstream.gui.file_opening import FileOpener, paths_of
from deeplabstream.gui.menu import RunMenu, build_menu
from deeplabstream.gui.pages.live_page import LivePage
from deeplabstream.gui.pages.page_stack import (
    PAGES,
    Cancelling,
    Finishing,
    Leaving,
    Opening,
    PageLoader,
    Toured,
)
from deeplabstream.gui.rack_menu import RackMenu
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.rig_claim import RigClaim
from deeplabstream.gui.settings_document import SESSION, Document
from deeplabstream.gui.stop_window_client import StopWindowClient
from deeplabstream.gui.tour import Tour
from deeplabstream.gui.widgets.banners import (
    AlarmBanner,
    BannerOverlay,
    SettingsBanner,
)
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.buttons import keep_focus_on_clicks
from deeplabstream.gui.widgets.field_editors import commit_field
from deeplabstream.gui.widgets.frame_overlay import Painted
from deeplabstream.gui.widgets.log_drawer import LogDrawer
from deeplabstream.gui.widgets.program_view import ProgramView
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.sections import unusable_settings

if TYPE_CHECKING:
    from deeplabstream.gui.pages.network_page import NetworkPage
from collections.abc import Mapping, Sequence

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QButtonGroup, QFrame, QPushButton, QVBoxLayout

from deeplabstream.gui.widgets.state_summary import StateSummary
from deeplabstream.gui.widgets.stop_button import StopButton

_NAVIGATION_WIDTH = 118
_LIVE, _SETTINGS = "Live", "Settings"
_FOLLOWING = ("Experiment", "Health")
_END = "End and close"
_FRAMED_MS = 300
"""Time after which the window manager has added the title bar."""
_DRAFT = ("Restore", "Discard", "Not now")


class NavigationBar(QFrame):
    """Navigation bar: a button for each page, and STOP."""

    chosen = pyqtSignal(str)
    """The name of a page."""
    stopped = pyqtSignal()
    """STOP was pressed."""

    def __init__(self, pages: Sequence[str]) -> None:
        super().__init__()
        self.setObjectName("navigation")
        self.setFixedWidth(_NAVIGATION_WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 10, 0, 10)
        column.setSpacing(2)
        self._group = QButtonGroup(self)
        self.pages = {name: self._page(name, at + 1) for at, name in enumerate(pages)}
        for button in self.pages.values():
            column.addWidget(button)
        column.addStretch(1)
        self.state = StateSummary()
        column.addWidget(self.state)
        self.stop = StopButton("STOP")
        self.stop.setObjectName("stop")
        self.stop.setToolTip("switches all outputs off and ends the experiment (Esc)")
        self.stop.clicked.connect(self.stopped)
        around = QVBoxLayout()
        around.setContentsMargins(10, 0, 10, 0)
        keep_usable(self.stop)
        around.addWidget(self.stop)
        column.addLayout(around)

    def show_state(self, state: SessionState, levels: Mapping[str, float]) -> None:
        """Show whether stream and experiment run, and which outputs are on."""
        self.state.show_state(state, levels)

    def show_page(self, name: str) -> None:
        """Mark the button of a page."""
        self.pages[name].setChecked(True)

    @property
    def page(self) -> str:
        """The name of the page that is shown."""
        return next(name for name, button in self.pages.items() if button.isChecked())

    def _page(self, name: str, number: int) -> QPushButton:
        button = QPushButton(name)
        button.setObjectName("page")
        button.setCheckable(True)
        button.setToolTip(f"Ctrl+{number}")
        button.clicked.connect(lambda: self.chosen.emit(name))
        self._group.addButton(button)
        return button


class MainWindow(QMainWindow):
    """The main window; closing it ends the session.

    `memory` stores style, size and page; None: nothing is stored.
    """

    def __init__(
        self, bridge: Bridge, document: Document, memory: QSettings | None = None
    ) -> None:
        super().__init__()
        self.bridge: Bridge = bridge
        self.document = document
        self.log = LogDrawer()
        self.test = OutputTest()
        self.recent = Recent(memory)
        self._pages: dict[str, QWidget] = {}
        self.painted = Painted(memory)
        self.painted.changed.connect(self._paint)

        self.live: LivePage = LivePage(bridge, document, self.log, self.test)
        self._rig_values: dict[str, dict[str, str]] | None = self._values_of_rig()
        """Values of the settings that the live page shows; None: of another rig."""
        self._claim = RigClaim()
        self._was_maximised = False
        self._paint()
        self._memory = memory

        self._stack = QStackedWidget()
        self._stack.addWidget(self.live)
        self._loader = PageLoader(self)
        names = (_LIVE, *PAGES)
        self.navigation: NavigationBar = NavigationBar(names)
        self.banner: SettingsBanner = SettingsBanner()
        self.alarms: AlarmBanner = AlarmBanner(bridge)
        self.sound = AlarmSound(lambda: self.alarms.sounding, memory)
        self.stop_window = StopWindowClient(
            bridge.session,
            self.navigation.stop,
            self._must_stop,
            self.log.complain,
            lambda: tuple(view.program.number for view in self._switching()),
        )

        self.tour: Tour = Tour(
            self,
            bridge,
            self._button,
            self._part,
            self._show_steps,
            lambda page: self.menu.show_help(page),
            memory,
        )
        self.opener = FileOpener(
            self,
            document,
            self.log,
            lambda: self.menu,
            lambda: self.network_page,
            self.show_page,
            self.open_run,
        )
        self.setAcceptDrops(True)

        self.run_menu = RunMenu(self._run, self)
        self.menu = build_menu(
            self,
            document,
            self.show_page,
            names,
            self._use_style,
            self.painted,
            self.tour.begin,
            self.recent,
            self.open_run,
            self._correct_identity,
            self._stack.currentWidget,
            self._why_kept,
            self.run_menu,
            self.offer_draft,
            self._view_entries(),
            {
                "New rig …": self.opener.make_rig,
                "New rig of 48 wells …": self.opener.make_wells,
                "Import from DeepLabStream 1 …": self.opener.import_version_1,
                "Import labels of SLEAP or DeepLabCut …": (
                    lambda: self.network_page.choose_labels()
                ),
                "Import network …": lambda: self.network_page.show_step("Import"),
            },
            lambda: f"app.md#{self.navigation.page.lower()}",
        )

        self.rack_menu = RackMenu(self, lambda: document.path.parent, self._open_rig)
        if (bar := self.menuBar()) is not None:
            bar.insertMenu(bar.actions()[-1], self.rack_menu)

        self.setCentralWidget(self._build_layout())
        keep_focus_on_clicks(self.navigation)
        self.overlay = BannerOverlay(self, self.alarms, self.banner)
        self.resize(1340, 740)

        # Connected before `_take_document`, whose signals replace the live page.
        self._connect()
        self.show_page(_LIVE)
        self._recall()
        self._fit_screen()
        self._take_document()

    def _view_entries(self) -> list[QAction]:
        sound = QAction("Sound of alarms", self)
        sound.setCheckable(True)
        sound.setChecked(self.sound.on)
        sound.toggled.connect(self.sound.switch)
        self.full_screen = QAction("Full screen", self)
        self.full_screen.setShortcut("F11")
        self.full_screen.setCheckable(True)
        self.full_screen.toggled.connect(self._fill_screen)
        return [self.full_screen, sound]

    def _fill_screen(self, full: bool) -> None:
        """Fill the screen; the live page shows only images, STOP stays visible."""
        self.live.show_images_only(full)
        if full:
            self._was_maximised = self.isMaximized()
            self.showFullScreen()
        elif self._was_maximised:
            self.showMaximized()
        else:
            self.showNormal()

    def _open_rig(self, file: Path) -> None:
        """Open the settings of a box of a rack, to set it up."""
        self.menu.open_file(file)
        self.show_page("Settings")

    def show_page(self, name: str) -> None:
        """Show a page; the first call creates it."""
        commit_field(self)
        self.navigation.show_page(name)
        known = name == _LIVE or name in self._pages
        with nullcontext() if known else busy(self, f"Opening the page {name} …"):
            if name != _LIVE:
                self._make_page(name)
            page = self.live if name == _LIVE else self._pages[name]
            self._stack.setCurrentWidget(page)
        self.menu.show_state()

    def _make_page(self, name: str) -> None:
        if name in self._pages:
            return
        self._loader.wait()  # two threads must not import the same modules at once
        self._pages[name] = PAGES[name](self.bridge, self.document, self.recent)
        self._stack.addWidget(self._pages[name])
        keep_focus_on_clicks(self._pages[name])
        self._paint_runs(self._pages[name])

    def load_pages(self) -> None:
        """Import the modules of all pages in a thread, then create the following pages."""
        self._loader.finished.connect(self.make_following_pages)
        self._loader.start()

    def make_following_pages(self) -> None:
        """Create the pages that record events from the start of the stream.

        Created before Start, they do not delay it.
        """
        for name in _FOLLOWING:
            self._make_page(name)

    def _follow(self, status: SessionState) -> None:
        if status.phase is not Phase.IDLE:
            self.make_following_pages()

    def _follow_programs(self) -> None:
        self.stop_window.follow(self.bridge.session.state)

    def page(self, name: str) -> QWidget:
        """Return a page that was shown before."""
        return self._pages[name]

    def _build_layout(self) -> QWidget:
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.navigation)
        row.addWidget(self._stack, 1)
        return middle

    def _connect(self) -> None:
        self.navigation.chosen.connect(self.show_page)
        self.navigation.stopped.connect(self._stop_outputs)
        self.banner.restart_requested.connect(self.bridge.restart)
        self.alarms.raised.connect(self.sound.begin)
        self.run_menu.begin.triggered.connect(lambda: self.live.begin())
        self.run_menu.end.triggered.connect(lambda: self.live.end())
        self.run_menu.aboutToShow.connect(self._show_run_menu)
        stop = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        stop.setContext(Qt.ShortcutContext.ApplicationShortcut)
        stop.activated.connect(self._escape)
        self._stop_input = StopInput(self, self._must_stop, self._stop_outputs)
        self.document.changed.connect(self._take_document)
        self.document.opened.connect(self._renew_pages)
        self.bridge.settings_requested.connect(partial(self.show_page, _SETTINGS))
        self.document.checked.connect(self._show_document)
        self.document.saved.connect(self._show_document)
        self.document.saved.connect(self._claim_rig)
        self.bridge.status_changed.connect(self._take_document)
        self.bridge.blockers_changed.connect(self._show_document)
        self.bridge.blockers_changed.connect(self._follow_programs)
        self.bridge.status_changed.connect(self._note_run)
        self.bridge.status_changed.connect(self._follow)
        self.bridge.status_changed.connect(self.stop_window.follow)
        self.bridge.stop_requested.connect(self._stopped_without_window)
        self.bridge.settings_changed.connect(self._renew)
        self.bridge.run_requested.connect(self.open_run)
        self.bridge.results_requested.connect(partial(self.open_run, page="Results"))
        self.bridge.queue_requested.connect(self._label_queue)
        self.bridge.ticked.connect(self.test.tick)
        self.bridge.ticked.connect(self._show_state)
        self.bridge.status_changed.connect(self._show_state)

    def _show_steps(self) -> None:
        """Show the live page with its single steps unfolded, for the tour."""
        self.show_page(_LIVE)
        self.live.controls.unfold.setChecked(True)

    def _button(self, action: Action | None) -> QAbstractButton:
        """Return the button of an action; None: STOP."""
        return (
            self.navigation.stop
            if action is None
            else self.live.controls.buttons[action]
        )

    def _part(self, name: str) -> QWidget | None:
        """Return a part of the page that is shown, by its name in the tour."""
        page = self._stack.currentWidget()
        return page.parts.get(name) if isinstance(page, Toured) else None

    def _run(self, action: Action) -> None:
        self.live.request(action)

    def _escape(self) -> None:
        """STOP; with all outputs off, close a dialog or cancel a drawing instead."""
        if self._must_stop() or not self._cancel():
            self._stop_outputs()

    def _must_stop(self) -> bool:
        """Return whether an output is on, or can be switched on without the user."""
        state = self.bridge.session.state
        on = state.experimenting or state.experiment_starting or state.armed
        on = on or any(state.levels.values()) or any(t.running for t in self._tests())
        return on or self.bridge.starting or bool(self._switching())

    def _cancel(self) -> bool:
        dialog = dialog_in_front() or QApplication.activeWindow()
        if isinstance(dialog, QDialog):
            dialog.close()
            return True
        page = self._stack.currentWidget()
        return isinstance(page, Cancelling) and page.cancel()

    def _switching(self) -> list[ProgramView]:
        """Return the programs that run now and switch outputs."""
        views = self.findChildren(ProgramView)
        return [
            view for view in views if view.program.switches_outputs and view.running
        ]

    def _tests(self) -> list[OutputTest]:
        """Return the output test of the window, and that of the wizard."""
        return [self.test, *self.findChildren(OutputTest)]

    def _stopped_without_window(self) -> None:
        """Take over what the stop window has stopped: nothing is armed or starts any more."""
        self._stop_outputs()
        self.log.complain(
            "STOP was pressed in the stop window, while this window did not respond"
        )

    def _stop_outputs(self) -> None:
        for test in self._tests():
            test.stop()
        self.bridge.stop_outputs()
        for view in self._switching():
            view.cancel()

        state, seconds = self.bridge.session.state, None
        if state.start_ns and state.phase is not Phase.IDLE:
            seconds = (SystemClock().now_ns() - state.start_ns) / 1e9
        # only the events of the run say when they are off
        text = "STOP: all outputs are being switched off"
        if failed := ", ".join(f"[Output {name}]" for name in state.failed_outputs):
            text = f"{text} except {failed}, which failed"
        self.log.add_line(text, seconds, "red")

    def _take_document(self) -> None:
        settings = self.document.settings
        if settings is not None and settings.text != self.bridge.session.settings.text:
            self.bridge.use(settings)
        self._show_document()

    def _show_document(self) -> None:
        self.bridge.blocked = self._why_blocked()
        self.live.show_blocked()
        self._show_run_menu()
        star = " *" if self.document.unsaved else ""
        self.setWindowTitle(f"{self.document.title}{star} – DeepLabStream")
        if self.document.path.exists():
            self.recent.note("settings", self.document.path)
        self.menu.show_state()
        self._show_banner()

    def _show_state(self) -> None:
        self.navigation.show_state(self.bridge.session.state, self.live.levels)

    def _show_run_menu(self) -> None:
        left = [] if self.bridge.starting else self.bridge.left_to_start()
        self.run_menu.show_status(self.bridge.session.state, self.bridge.blocked, left)

    def _show_banner(self) -> None:
        status, settings = self.bridge.session.state, self.document.settings
        if count := len(self.document.problems):
            more = f" (and {count - 1} more)" if count > 1 else ""
            problem = f"{self.document.problems[0].rstrip('.')}{more}"
            problem += "" if problem.endswith("?") else "."
            rest = (
                "Fix this before you start."
                if status.phase is Phase.IDLE
                else "Still using the last valid settings."
            )
            self.banner.show_text(f"{problem} {rest}")
        elif settings and settings.text == self.bridge.session.settings.text:
            found = self.document.findings[:1] if status.phase is Phase.IDLE else ()
            self.banner.show_text("".join(found))
        else:  # the rig runs with earlier settings
            busy = (
                status.experimenting
                or status.experiment_starting
                or status.recording
                or status.recording_starting
            )
            self.banner.offer_restart(
                "Changes take effect when you restart the stream.",
                "Stop the experiment and the recording first." if busy else "",
            )

    def _why_kept(self) -> str:
        """Return why no other settings file can be opened now; empty: one can."""
        name = self.document.path.name
        if self.bridge.session.state.phase is not Phase.IDLE:
            return f"The rig of {name} is running. Stop the stream, then open another file."
        if running := ", ".join(self._running()):
            return f"Still running for {name}: {running}. Stop it or wait, then open another file."
        return ""

    def _why_blocked(self) -> str:
        """Return why no stream can start: another program uses the rig, or problems."""
        for view in self._switching():
            return f"Can't start: {view.title} runs. Wait until it ends, or stop it."
        if not self.document.problems:
            return ""
        count = self.document.problem_count
        return f"Can't start: {count}. Fix them on the page Settings."

    def _renew(self) -> None:
        """Create the live page again for other settings of the rig.

        Changes of [Session] alone keep the page, so that its field keeps the focus.
        """
        known, self._rig_values = self._rig_values, self._values_of_rig()
        if known == self._rig_values:
            return

        shown = self._stack.currentWidget() is self.live
        old = self.live
        self.live = LivePage(self.bridge, self.document, self.log, self.test)
        self.live.show_images_only(self.full_screen.isChecked())
        self.live.controls.unfold.setChecked(old.controls.unfold.isChecked())
        self._paint()
        self._stack.addWidget(self.live)
        if shown:
            self._stack.setCurrentWidget(self.live)

        self._stack.removeWidget(old)
        old.deleteLater()

    def _renew_pages(self) -> None:
        """Create all pages again for another rig: none shows runs or paths of the last one."""
        shown = self.navigation.page
        for page in self._pages.values():
            if isinstance(page, Finishing):
                page.finish()
            self._stack.removeWidget(page)
            page.deleteLater()
        self._pages.clear()

        if self.document.settings is None:  # Start must not run the last rig
            self.bridge.use(unusable_settings(self.document.path.parent))
        self.bridge.session.discard_run()
        self.log.clear()
        self._rig_values = None
        self._renew()
        self.show_page(shown)

    def _values_of_rig(self) -> dict[str, dict[str, str]]:
        """Return the values of the settings in use, without [Session]."""
        sections = read_sections(self.bridge.session.settings.text).texts
        return {title: values for title, values in sections.items() if title != SESSION}

    def _paint(self) -> None:
        keep_focus_on_clicks(self.live)
        self.live.display.paint_as(self.painted)
        for page in self._pages.values():
            self._paint_runs(page)

    def _paint_runs(self, page: QWidget) -> None:
        """Use the choice of the menu View in the images of finished runs."""
        for view in page.findChildren(VideoView):
            view.reprojects = self.painted.shows("reprojected")
            view.update()

    def _note_run(self, status: SessionState) -> None:
        folder = self.bridge.session.state.run_folder
        if status.phase is Phase.IDLE and folder is not None:
            self.recent.note("runs", folder)

    @property
    def network_page(self) -> "NetworkPage":
        """The page Network; it is shown."""
        from deeplabstream.gui.pages.network_page import NetworkPage

        self.show_page("Network")
        page = self._pages["Network"]
        assert isinstance(page, NetworkPage)  # noqa: S101
        return page

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        """Accept local files and folders."""
        if event is not None and paths_of(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802
        """Open the dropped files, after the drag has ended in the other program."""
        if event is not None and (paths := paths_of(event.mimeData())):
            event.acceptProposedAction()
            QTimer.singleShot(0, lambda: self.opener.take(paths))

    def _label_queue(self, run: Path) -> None:
        self.network_page.label_queue(run)

    def open_run(self, path: Path, page: str = "Runs") -> None:
        """Show a run folder on the page Runs or Results."""
        self.recent.note("runs", path)
        self.show_page(page)
        shown = self._pages[page]
        if isinstance(shown, Opening):
            shown.open(path)

    def _correct_identity(self, swap: bool) -> None:
        panel = self.live.animals
        panel.swap_names() if swap else panel.confirm()

    def _use_style(self, name: str) -> None:
        use_palette(name)
        if self._memory is not None:
            self._memory.setValue("style", name)

    def _recall(self) -> None:
        if self._memory is None:
            return
        use_palette(str(self._memory.value("style", "dark")))
        geometry = self._memory.value("geometry")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        page = str(self._memory.value("page", _LIVE))
        if page in PAGES and not self.bridge.starting:  # Live shows what starts
            self.show_page(page)

    def _fit_screen(self) -> None:
        """Move and shrink the window into the screen, which may be smaller than before."""
        screen = self.screen()
        if screen is None or self.isMaximized() or self.isFullScreen():
            return

        room, frame = screen.availableGeometry(), self.frameGeometry()
        around = frame.size() - self.size()
        self.resize(self.size().boundedTo(room.size() - around))
        frame.setSize(self.size() + around)

        # Left and top last: the title bar must be reachable in any case.
        frame.moveRight(min(frame.right(), room.right()))
        frame.moveBottom(min(frame.bottom(), room.bottom()))
        frame.moveLeft(max(frame.left(), room.left()))
        frame.moveTop(max(frame.top(), room.top()))
        if frame.topLeft() != self.pos():
            self.move(frame.topLeft())

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Keep the tour beside the control that it explains."""
        super().resizeEvent(event)
        self.tour.settle()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Fit the window into the screen once it has a title bar."""
        super().showEvent(event)
        self._stop_input.watch(self.windowHandle())
        if event is not None and not event.spontaneous():
            QTimer.singleShot(_FRAMED_MS, self._fit_screen)

    def _may_close(self) -> bool:
        """Confirm the end of running work, and handle unsaved changes; False: stay open."""
        if running := self._running():
            ends = "ends it" if len(running) == 1 else "ends them"
            question = f"Still running: {', '.join(running)}. Closing {ends}."
            if show_question(self, question, _END, "Stay") != _END:
                return False

        pages = [page for page in self._pages.values() if isinstance(page, Leaving)]
        return all(page.may_leave() for page in pages) and self.menu.may_leave()

    def _running(self) -> list[str]:
        """Return descriptions of what closing the window would end."""
        status = self.bridge.session.state
        stages = {
            "an experiment": status.experimenting or status.experiment_starting,
            "a recording": status.recording or status.recording_starting,
            "an output test": self.test.running,
        }
        found = [name for name, runs in stages.items() if runs]
        pages = [page for page in self._pages.values() if isinstance(page, Finishing)]
        found += [page.running for page in pages if page.running]
        views = self.findChildren(ProgramView)
        return found + [view.title for view in views if view.running]

    def outputs_off(self) -> bool:
        """Switch all outputs off, as for Ctrl-Z; return whether they are off."""
        for test in self._tests():
            test.stop()
        running = any(test.running for test in self._tests())
        off = self.bridge.outputs_off() and not running
        for view in self._switching():
            view.cancel()
        if off:
            self.log.add_line(
                "Paused by Ctrl-Z or sleep: the experiment has ended", tone="red"
            )
            self.stop_window.pause()
        return off

    def _claim_rig(self) -> None:
        self._claim.take(self.document.first_draft)

    def offer_draft(self) -> None:
        """Offer to restore unsaved changes of a program that was killed.

        While another window has the rig open, drafts are its own: a message is shown.
        """
        name = self.document.path.name
        if not self._claim.take(self.document.first_draft):
            folder = self.document.path.parent
            show_message(
                self,
                f"This rig is open in another window: {name} in {folder}. Close one of "
                "them: both would change the same file and use the same devices.",
            )
            return
        draft = self.document.lost
        if draft is None:
            return
        question = (
            f"The program ended before changes of {name} were saved. They are in "
            f"{draft.name}. Restore them?"
        )
        answer = show_question(self, question, *_DRAFT, default=_DRAFT[0])
        if answer == _DRAFT[0]:
            try:
                self.document.restore_draft(draft)
            except SettingsError as error:
                self.log.complain("; ".join(error.problems))
        elif answer == _DRAFT[1]:
            self.document.discard_draft(draft)

    def end(self) -> None:
        """Close without a confirmation, as for a signal; unsaved settings become a draft."""
        commit_field(self)
        if self.document.unsaved:
            self.document.keep_draft()
        self.hide()
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """End session, tests and programs; stay open if the user cancels."""
        by_user = event is not None and self.isVisible()
        if event is not None and by_user and not self._may_close():
            event.ignore()
            return

        if self._memory is not None:
            self._memory.setValue("geometry", self.saveGeometry())
            self._memory.setValue("page", self.navigation.page)

        # Polling stops first: pages must not handle events of a closing session.
        self.live.controls.setEnabled(False)
        self.hide()
        self.bridge.stop()
        # The session ends the outputs first; saving the record may then take a minute.
        self.stop_window.finish()
        self.test.finish()
        self.document.delete_copy()
        self._claim.release()
        if by_user:  # the user has saved or discarded the changes
            self.document.delete_draft()
        self.bridge.session.close()

        self._loader.wait()
        for page in self._pages.values():
            if isinstance(page, Finishing):
                page.finish()
        for view in self.findChildren(ProgramView):
            view.cancel()
        super().closeEvent(event)
