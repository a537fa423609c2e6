"""The preview of trials is computed in the window's idle time."""

from pathlib import Path

from PyQt5 import sip
from pytestqt.qtbot import QtBot

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
