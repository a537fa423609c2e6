"""The preview of trials is computed in the window's idle time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5 import sip
from pytestqt.qtbot import QtBot

from deeplabstream.engine.trial_preview import Row
from deeplabstream.gui.widgets import trial_preview_list
from deeplabstream.gui.widgets.trial_preview_list import TrialList
from deeplabstream.settings.loading import load

CONFIGS = Path(__file__).resolve().parents[2] / "experiments" / "configs"


def test_the_preview_stops_when_its_table_is_deleted(qtbot: QtBot) -> None:
    shown = TrialList()
    qtbot.addWidget(shown)
    settings = load(CONFIGS / "place_avoidance.ini")
    shown.show_experiment(settings, settings.experiment.exp_name)
    assert not shown.complete
    sip.delete(shown.table)
    assert shown.complete


@pytest.mark.parametrize(
    "row", [None, Row(0.0, "go", "laser on")], ids=["none", "a row"]
)
def test_the_preview_stops_when_it_is_deleted_during_its_turn(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, row: Row | None
) -> None:
    """The garbage collector runs at any moment, also while a row is computed."""
    computed: list[Row | None] = []

    def rows(*_: object) -> Iterator[Row | None]:
        sip.delete(shown)
        computed.append(row)
        yield row

    monkeypatch.setattr(trial_preview_list, "preview_trials", rows)
    shown = TrialList()
    settings = load(CONFIGS / "place_avoidance.ini")
    shown.show_experiment(settings, settings.experiment.exp_name)
    qtbot.waitUntil(lambda: computed == [row], timeout=60_000)
