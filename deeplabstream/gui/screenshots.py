"""Screenshots of the window, page by page, for the documentation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PyQt5.QtCore import QTimer

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.application import use_palette
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.regions_page import RegionsPage
from deeplabstream.gui.pages.results_page import ResultsPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.theme import PALETTES

_SETTLE_MS = 2500
_WELL_INSIDE_NS = 300_000_000
_QUALITY = 88
_RUNS, _RESULTS = "Runs", "Results"
_RATER = "anna"


class Photographer:
    """Takes screenshots when the animal is in a region and its stimulus is on.

    Runs and Results are shown last, after the recorded run has ended.
    `labels` is a folder that the page Network shows.
    """

    def __init__(
        self, window: MainWindow, folder: Path, after_s: float, labels: Path
    ) -> None:
        self._window, self._folder, self._after_s = window, folder, after_s
        self._labels = labels
        self._first_ns = 0
        self._inside_ns = 0
        self._poses: Iterator[None] = iter(())
        self._timer = QTimer()
        self._timer.timeout.connect(self._go_on)
        self.taken: list[Path] = []

    def take_status(self, status: SessionState) -> None:
        """Close the window if the session has ended without a screenshot."""
        if status.phase is Phase.IDLE and not self.taken:
            self._window.end()

    def on_steps(self, steps: tuple[Step, ...]) -> None:
        """Start the screenshots during a visit of a region; close the window at the end."""
        last = steps[-1]
        running = [step.exposed_ns for step in steps if step.status]
        self._first_ns = self._first_ns or (running[0] if running else 0)
        on = any(self._window.bridge.session.state.levels.values())
        inside = on and any(last.triggers.values())
        self._inside_ns = (self._inside_ns or last.exposed_ns) if inside else 0
        well_inside = inside and last.exposed_ns - self._inside_ns >= _WELL_INSIDE_NS
        waited_s = (last.exposed_ns - (self._first_ns or last.exposed_ns)) / 1e9
        if well_inside and waited_s >= self._after_s and not self.taken:
            self._take("window.png")
            self._poses = self._pages()
            self._timer.start(_SETTLE_MS)

    def _go_on(self) -> None:
        if next(self._poses, self) is self:
            self._timer.stop()
            self._window.end()

    def _pages(self) -> Iterator[None]:
        """Show each page, yield, and take its screenshot."""
        for style in PALETTES:
            use_palette(style)
            for name in self._window.navigation.pages:
                if name not in (_RUNS, _RESULTS):
                    self._window.show_page(name)
                    self._choose_something(name)
                    yield
                    self._take(f"{name.lower()}_{style}.jpg")
        bridge = self._window.bridge
        bridge.do(Action.STOP_STREAM)
        while bridge.session.state.phase is not Phase.IDLE:
            yield
        for style in PALETTES:
            use_palette(style)
            self._window.show_page(_RUNS)
            yield from self._go_into_the_run()
            self._take(f"{_RUNS.lower()}_{style}.jpg")
            yield from self._audit_the_run()
            self._take(f"audit_{style}.jpg")
            self._leave_the_audit()
            yield from self._analyse_the_run()
            self._take(f"{_RESULTS.lower()}_{style}.jpg")

    def _choose_something(self, name: str) -> None:
        """Select content on some pages."""
        page = None if name == "Live" else self._window.page(name)
        if isinstance(page, RegionsPage):
            page.list.setCurrentRow(0)
        elif isinstance(page, SettingsPage):
            page.show_section("Trigger left")
        elif isinstance(page, NetworkPage):
            page.open(self._labels)
            page.labelling.show_frame(2)

    def _go_into_the_run(self) -> Iterator[None]:
        """Show a moment of the run, and yield until its image is decoded."""
        page = self._window.page(_RUNS)
        if not isinstance(page, RunsPage):
            return
        page.table.choose(0)
        while (run := page.view.review) is None:
            yield
        camera, table = next(iter(run.cameras.items()))
        posed = np.flatnonzero(table.rows["lost"] == 0)
        page.view.video.clear("")  # show no image until the frame is decoded
        page.view.go_to(run.time_of(camera, int(posed[len(posed) * 9 // 10])))
        yield
        while page.view.video.place is None:
            yield

    def _audit_the_run(self) -> Iterator[None]:
        """Show a clip of the run's audit with the overlay, and yield until it ends."""
        page = self._window.page(_RUNS)
        if not isinstance(page, RunsPage):
            return
        page.show_audit()
        while not page.audit.shown:
            yield
        page.audit.use_rater(_RATER)  # not the user of this computer
        while not page.audit.shown:
            yield
        page.audit.play.stop()
        page.audit.overlay.setChecked(True)
        page.audit.at_s = 0.0
        page.audit.tick()
        yield

    def _leave_the_audit(self) -> None:
        page = self._window.page(_RUNS)
        if isinstance(page, RunsPage):
            page.cancel()

    def _analyse_the_run(self) -> Iterator[None]:
        """Show the plots of the run, and yield until they are drawn."""
        runs = self._window.page(_RUNS)
        if not isinstance(runs, RunsPage) or runs.view.review is None:
            return
        self._window.open_run(runs.view.review.folder.path, page=_RESULTS)
        page = self._window.page(_RESULTS)
        if not isinstance(page, ResultsPage):
            return
        page.show_tab("Plots")
        while page.plots.view.plot is None:
            yield
        yield  # wait until it is redrawn for another style

    def _take(self, name: str) -> None:
        file = self._folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._window.grab().save(str(file), quality=_QUALITY)
        self.taken.append(file)
