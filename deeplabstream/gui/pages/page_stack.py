"""Page stack: functions that create the pages of the window when first shown."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from PyQt5.QtCore import QThread
from PyQt5.QtWidgets import QWidget

from deeplabstream.engine.session.session_state import Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document

Maker: TypeAlias = Callable[[Bridge, Document, Recent], QWidget]


@runtime_checkable
class Finishing(Protocol):
    """A page with threads or processes to end when the window closes."""

    @property
    def running(self) -> str:
        """Description of the work that closing would end; empty: none."""

    def finish(self) -> None:
        """End threads and processes."""


@runtime_checkable
class Leaving(Protocol):
    """A page with data that may be unsaved when the window closes."""

    def may_leave(self) -> bool:
        """Save the data; if that fails, the user decides. False: cancelled."""


@runtime_checkable
class Undoing(Protocol):
    """A page with an undo history of its own."""

    @property
    def undoes(self) -> bool:
        """Whether Undo and Redo now apply to this page instead of the settings."""

    def undo(self) -> None:
        """Undo the last change, if there is one."""

    def redo(self) -> None:
        """Redo the change that was undone last, if there is one."""


@runtime_checkable
class Cancelling(Protocol):
    """A page with operations that can be cancelled."""

    def cancel(self) -> bool:
        """Cancel the current operation; return whether there was one."""


@runtime_checkable
class Opening(Protocol):
    """A page that shows run folders."""

    def open(self, path: Path) -> None:
        """Show a run."""


@runtime_checkable
class Toured(Protocol):
    """A page that the tour speaks of."""

    @property
    def parts(self) -> Mapping[str, QWidget]:
        """The parts of the page that the tour leaves free, by name."""


def _regions(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.regions_page import RegionsPage

    return RegionsPage(bridge, document)


def _experiment(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.experiment_page import ExperimentPage

    return ExperimentPage(bridge, document)


def _settings(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.settings_page import SettingsPage

    return SettingsPage(document, bridge)


def _health(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.health_page import HealthPage

    page = HealthPage(bridge, document)
    page.notice.settings_requested.connect(bridge.settings_requested)
    return page


def _runs(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.runs_page import RunsPage

    page = RunsPage(document)
    page.results_requested.connect(bridge.results_requested)
    page.labelling_requested.connect(bridge.queue_requested)
    return page


def _results(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.results_page import ResultsPage

    page = ResultsPage(document, lambda: bridge.session.state.phase is not Phase.IDLE)
    bridge.status_changed.connect(page.client.give_way)
    page.replay_requested.connect(bridge.run_requested)
    return page


def _network(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.network_page import NetworkPage

    page = NetworkPage(document, recent)
    bridge.status_changed.connect(page.using.follow)
    page.using.follow(bridge.session.state)
    return page


def _calibration(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.calibration_page import CalibrationPage

    return CalibrationPage(document, bridge)


PAGES: Mapping[str, Maker] = {
    "Regions": _regions,
    "Experiment": _experiment,
    "Settings": _settings,
    "Health": _health,
    "Runs": _runs,
    "Results": _results,
    "Network": _network,
    "Calibration": _calibration,
}
"""Functions that create a page, by its name in the navigation bar; without `Live`."""


class PageLoader(QThread):
    """Imports the modules of all pages in a thread: the window answers meanwhile."""

    def run(self) -> None:
        """Import the modules."""
        for name in PAGES:
            with suppress(Exception):  # the creation of the page reports the error
                import_module(f"deeplabstream.gui.pages.{name.lower()}_page")
