"""Page stack: the pages of the window, built when they are first shown."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from PyQt5.QtWidgets import QWidget

from deeplabstream.engine.session.session_state import Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document

Maker: TypeAlias = Callable[[Bridge, Document, Recent], QWidget]


@runtime_checkable
class Finishing(Protocol):
    """A page that has to end something when the window closes."""

    @property
    def running(self) -> str:
        """What runs behind the page and would be ended, in words; empty: nothing."""

    def finish(self) -> None:
        """End it."""


@runtime_checkable
class Leaving(Protocol):
    """A page that may have something to save when the window closes."""

    def may_leave(self) -> bool:
        """Save it; ask if that fails. False: the user stays."""


@runtime_checkable
class Undoing(Protocol):
    """A page that has, at times, an undo history of its own."""

    @property
    def undoes(self) -> bool:
        """Whether Undo and Redo are this page's now, not the settings'."""

    def undo(self) -> None:
        """Take the last change back, if there is one."""

    def redo(self) -> None:
        """Make it again, if it was taken back."""


@runtime_checkable
class Cancelling(Protocol):
    """A page on which something can be begun and cancelled."""

    def cancel(self) -> bool:
        """Cancel what was begun; return whether there was something."""


@runtime_checkable
class Opening(Protocol):
    """A page that shows run folders."""

    def open(self, path: Path) -> None:
        """Show a run."""


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

    return HealthPage(bridge, document)


def _runs(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.runs_page import RunsPage

    page = RunsPage(document)
    page.results_asked.connect(bridge.results_asked)
    page.label_asked.connect(bridge.queue_asked)
    return page


def _results(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.results_page import ResultsPage

    page = ResultsPage(document, lambda: bridge.session.state.phase is not Phase.IDLE)
    bridge.status_changed.connect(page.client.give_way)
    page.replay_asked.connect(bridge.looked_back)
    return page


def _network(bridge: Bridge, document: Document, recent: Recent) -> QWidget:
    from deeplabstream.gui.pages.network_page import NetworkPage

    return NetworkPage(document, recent)


PAGES: Mapping[str, Maker] = {
    "Regions": _regions,
    "Experiment": _experiment,
    "Settings": _settings,
    "Health": _health,
    "Runs": _runs,
    "Results": _results,
    "Network": _network,
}
"""By the name on their button, in their order; `Live` is the window's own."""
