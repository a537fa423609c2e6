"""Every page and window of the application, one after the other, as a person sees them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PyQt5.QtCore import QEventLoop
from PyQt5.QtWidgets import QApplication, QWidget

from deeplabstream.audit.audit import open_audit
from deeplabstream.core.pose import Pose
from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.engine.identity_reporting import IdentityState
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.help_window import HelpWindow, KeysWindow
from deeplabstream.gui.dialogs.latency_test_window import LatencyTestWindow
from deeplabstream.gui.dialogs.new_rig.output_page import OutputPage
from deeplabstream.gui.dialogs.new_rig.wizard import NewRigWizard
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.dialogs.rack_form import RackForm
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.calibration_page import CalibrationPage
from deeplabstream.gui.pages.checking_tab import VideoCheck
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.regions_page import RegionsPage
from deeplabstream.gui.pages.results_page import ResultsPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.rack_window import RackWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.tour import STEPS
from deeplabstream.recording.pose_table import pose_table
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.loading import kinds_of, load
from deeplabstream.settings.rack_draft import RackDraft
from deeplabstream.settings.rack_file import load_rack
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.data.simulated_labels import draw_labels
from tests.gui.calibration_files import write_verdict
from tests.gui.fake_session import SKELETON, FakeSession, make_step
from tests.recording.recorded import record
from tests.recording.small_run import made, write_flags
from tests.web.test_rack_page import STATUS, running

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1366, 768)


class _Sized(MainWindow):
    """A window that keeps its size: the screen of the platform offscreen is smaller."""

    def _fit_screen(self) -> None:
        pass


def pages(folder: Path) -> Iterator[tuple[str, QWidget]]:
    """Yield every page and window, in the states that a person sees."""
    rig = FakeSession()
    file = folder / "settings.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig.settings = load(file)
    window = _Sized(Bridge(rig), Document(file))
    window.resize(*SIZE)
    window.show()
    yield "Live, idle", window
    for action in (Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT):
        window.live.controls.buttons[action].click()
        window.bridge.tick()
    answers: dict[str, bool | None] = {"left": None, "right": True}
    rig.update(levels={"left stimulus": 0.5, "right stimulus": 1.0})
    rig.news += [make_step(index, answers) for index in range(50)]
    window.bridge.tick()
    yield "Live, running", window
    crowd = tuple(f"animal{number}" for number in range(1, 9))
    rig.update(skeleton=replace(SKELETON, animals=crowd))
    points = np.ones((8, 3, 2), np.float32)
    words = ("doubt1", "doubt1", "doubt1", "stray", "", "", "doubt2", "doubt2")
    pose = Pose(rig.state.skeleton, points, points[..., 0], words)
    totals = {
        "ambiguities": 9999,
        "ambiguous_frames": 99999,
        "exchanged": 999,
        "swapped": 99,
    }
    rig.update(identity={"arena": IdentityState(pose, totals)})
    rig.put(rig.state)
    for _ in range(8):
        window.bridge.tick()
    yield "Live, eight animals", window
    window.show_page("Health")
    yield "Health, eight animals", window
    window.show_page("Live")
    for place, stop in enumerate(STEPS):
        window.tour.place = place
        window.tour._show()
        yield f"Tour, {place + 1}", window
        window.tour.bubble.message.setText(stop.meanwhile or stop.text)
        yield f"Tour, {place + 1}, meanwhile", window
    window.tour.place = len(STEPS)
    window.tour._show()
    yield "Tour, end", window
    window.tour.end()
    for name in window.navigation.pages:
        if name == "Runs":  # during a stream, the analysis has the lowest priority
            window.bridge.do(Action.STOP_STREAM)
            window.bridge.tick()
        window.show_page(name)
        yield name, window
        page = None if name == "Live" else window.page(name)
        if isinstance(page, SettingsPage):
            for title in window.document.values:
                page.show_section(title)
                yield f"Settings, {title}", window
        elif isinstance(page, RunsPage):
            page.open(next((ROOT / "tests/golden/runs").glob("*/run.json")).parent)
            _process_events_until(lambda page=page: page.view.review is not None)  # type: ignore[misc]
            yield "Runs, a run", window
            yield from _audit(page, window, folder)
        elif isinstance(page, ResultsPage):
            yield from _results(page, window, folder)
        elif isinstance(page, NetworkPage):
            yield from _network(page, window, folder)
        elif isinstance(page, CalibrationPage):
            yield from _calibration(page, window, folder)
    keys = KeysWindow(window.menu.actions.values(), window)
    keys.show()
    yield "Keys", keys
    keys.close()
    yield from _space(folder / "space")
    yield from _dialogs(window, folder)
    yield from _rack(folder / "rack")
    window.end()


def _process_events_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process sends, without using the CPU meanwhile."""
    while not condition():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def _dialogs(window: MainWindow, folder: Path) -> Iterator[tuple[str, QWidget]]:
    """Yield the documentation, the latency test, and the wizard with each output."""
    help_ = HelpWindow(window)
    help_.show()
    yield "Help", help_
    help_.close()
    settings = window.bridge.session.settings
    latency = LatencyTestWindow(settings, folder / "settings.ini", window)
    latency.panel.form.more.setChecked(True)
    latency.show()
    yield "Measure latency", latency
    latency.close()
    wizard = NewRigWizard(folder / "my_rig", window)
    wizard.show()
    yield "New rig", wizard
    for kind in kinds_of("Output"):
        page = OutputPage(wizard.rig)
        page.resize(wizard.size())
        page.choose(kind)
        page.more.setChecked(True)
        page.show()
        yield f"New rig, {kind}", page
        page.close()
    wizard.reject()


def _rack(folder: Path) -> Iterator[tuple[str, QWidget]]:
    """Yield the form and the window of a rack; one box runs, with an alarm."""
    folder.mkdir()
    draft = RackDraft(folder / "rack.ini")
    for name in ("left", "right side of the room"):
        draft.add(name, make_rig(folder / name[:4]))
        draft.set(name, "ANIMAL", "m1")
    form = RackForm(draft, lambda _: None, lambda _: None)
    form.show()
    yield "Rack form", form
    form.write()
    draft.set("left", "RESTARTS", "often")
    form._show_boxes()
    yield "Rack form, a problem", form
    form.hide()

    rack = load_rack(draft.path)
    alarm = "[Camera arena] less than 80% of its 30 frames/s are analysed: overloaded"
    with running(rack, "left", replace(STATUS, alarm=alarm, disk_free_gb=1234.0)):
        window = RackWindow(rack, [*rack.boxes], [])
        window.stop_window.follow_programs = lambda: None  # type: ignore[method-assign]
        window.show()
        yield "Rack, tiles", window
        window.show_in_full("left")
        yield "Rack, a box in full", window
    window.end()


def _space(folder: Path) -> Iterator[tuple[str, QWidget]]:
    """Yield the editor of volumes, with one of each kind."""
    folder.mkdir()
    file = folder / "settings.ini"
    text = (ROOT / "experiments/configs/rearing.ini").read_text("utf-8")
    text = text.replace("../../models", (ROOT / "models").as_posix())
    volume = "[Trigger feeder]\nKIND = InsideVolume\nBODYPARTS = nose\nVOLUME ="
    plane = "[Trigger door]\nKIND = PlaneCrossing\nBODYPARTS = nose\nPOINT = 0, 0, 0"
    more = f"{volume} circle 60 40 50 z 0 100\n{plane}\nNORMAL = 1, 0, 0\n"
    file.write_text(f"{text}\n{more}", "utf-8")
    rig = FakeSession()
    rig.settings = load(file)
    window = _Sized(Bridge(rig), Document(file))
    window.resize(*SIZE)
    window.show()
    window.show_page("Regions")
    yield "Regions, space", window
    page = window.page("Regions")
    if isinstance(page, RegionsPage) and page.in_space is not None:
        for name in page.in_space.items:
            page.in_space.above.chosen.emit(name)
            yield f"Regions, space, {name}", window
    window.end()


def _corrections(
    page: ResultsPage, window: MainWindow, folder: Path
) -> Iterator[tuple[str, QWidget]]:
    run = made(folder / "pair", animals=2)
    write_flags(run, {"3": "anna stray", "6": "anna doubt1; bob doubt1"})
    page.open(run)
    view = page.corrections
    page.show_tab("Correct")
    _process_events_until(view.places.isVisible)
    view.places.next.click()
    view.places.check.click()
    _process_events_until(lambda: "1 of 2" in view.places.remaining.text())
    view.places.next.click()
    view.kind.setCurrentText("Merge animals")
    view.kind.activated.emit(view.kind.currentIndex())
    yield "Results, Correct, uncertain places", window


def _results(
    page: ResultsPage, window: MainWindow, folder: Path
) -> Iterator[tuple[str, QWidget]]:
    run, other, *_ = sorted((ROOT / "tests/golden/runs").glob("*/run.json"))
    page.table.add(other.parent)
    page.open(run.parent)
    _process_events_until(lambda: page.measured is not None)
    for name in ("Measures", "Plots", "Regions", "Correct"):
        page.show_tab(name)
        for row in range(page.plots.list.count() if name == "Plots" else 1):
            page.plots.list.setCurrentRow(row)
            yield f"Results, {name}, {row + 1}", window
    yield from _corrections(page, window, folder)
    page.table.selectAll()
    for name in ("Table", "Groups"):
        page.show_tab(name)
        yield f"Results, {name}", window


def _audit(
    page: RunsPage, window: MainWindow, folder: Path
) -> Iterator[tuple[str, QWidget]]:
    run = record(folder / "audited")
    open_audit(run, count=5, seed=1)
    page.open(run)
    page.show_audit()
    audit = page.audit
    _process_events_until(lambda: audit.shown)
    yield "Runs, audit", window
    audit.overlay.click()
    yield "Runs, audit, overlay", window
    while audit.clip is not None:
        _process_events_until(lambda: audit.shown)
        audit.give("right")
    _process_events_until(lambda: audit.figures.isVisible())
    audit.figures.hours.setChecked(True)
    yield "Runs, audit, figures", window
    search = audit.figures.search.view
    search.bar.show()
    search.stop.show()
    search.show_progress(12_345, 672_000, "[Trigger in]")
    yield "Runs, audit, search for settings", window
    audit.closed.emit()


def _calibration(
    page: CalibrationPage, window: MainWindow, folder: Path
) -> Iterator[tuple[str, QWidget]]:
    for name in page.tabs:
        page.show_step(name)
        yield f"Calibration, {name}", window
    page.show_step("Board")
    page.board.form.more.setChecked(True)
    page.board.view._ended(2, killed=False)
    yield "Calibration, Board, options", window
    page.show_step("Calibrate")
    tab = page.calibrating
    tab.panel.form.more.setChecked(True)
    file = folder / "calibration.toml"
    tab.panel.form.show_values({"--output": [str(file)]})
    write_verdict(file, refused=True)
    tab._read(f"{file.with_suffix('.coverage.png')}\n")
    tab.panel.view._ended(1, killed=False)
    yield "Calibration, refused", window
    write_verdict(file)
    tab.panel.view._ended(0, killed=False)
    yield "Calibration, accepted", window
    for name in ("Floor", "Use"):
        page.show_step(name)
        yield f"Calibration, {name}, calibrated", window


def _network(
    page: NetworkPage, window: MainWindow, folder: Path
) -> Iterator[tuple[str, QWidget]]:
    draw_labels(folder / "labels", (96, 128, 3), frames=6, walks=2, seed=1)
    book = open_book(folder / "labels")
    page.open(folder / "labels")
    yield "Network, Label", window
    page.show_step("Train")
    for line in (
        "20 pictures to train on, 4 held out\n",
        '{"step": 99995, "steps": 100000, "loss": 12.5, "left_s": 86000}\n',
    ):
        page.training._take(line)
    yield "Network, Train", window
    page.training._ended(1, killed=True)
    yield "Network, Train, killed", window
    page.show_step("Check")
    yield "Network, Check", window
    for name in ("Import", "Predict videos", "Make faster", "Use live"):
        page.show_step(name)
        yield f"Network, {name}", window
    for tab in (page.importing, page.predicting, page.faster):
        page._stack.setCurrentWidget(tab)
        for row, panel in enumerate(tab.panels):
            tab.list.setCurrentRow(row)
            panel.form.more.setChecked(True)
            panel.view._ended(2, killed=False)
            yield f"Network, {panel.program.title}", window
    page.show_step("Train")
    page.training.options.more.setChecked(True)
    page.training._offer_gpus(TrainingGpus(problem="GPU is not used: torch is too old"))
    yield "Network, Train, options", window
    report = page.checking.show_report_form()
    yield "Report", report
    report.close()
    pick = PickDialog(page.document, book.folder, page)
    pick.show()
    yield "Pick frames", pick
    pick.close()
    points = np.zeros((100, 1, len(SKELETON.bodyparts), 2))
    poses = pose_table(folder, SKELETON, points, np.ones(points.shape[:3]))
    check = VideoCheck(folder / "none.mkv", poses, 0.5, page)
    check.show()
    yield "A video", check
    check.close()
