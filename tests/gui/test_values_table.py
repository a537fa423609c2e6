"""A table of values shows every text whole."""

from pytestqt.qtbot import QtBot

from deeplabstream.gui.widgets.values_table import ValuesTable


def test_columns_grow_with_longer_values_and_never_shrink(qtbot: QtBot) -> None:
    table = ValuesTable()
    qtbot.addWidget(table)
    table.show_values(("name", "share"), [("approach", "83 %")])
    before = table.columnWidth(1)
    table.show_values(("name", "share"), [("approach", "91.7% (83.3% to 100.0%)")])
    grown = table.columnWidth(1)
    assert grown > before
    assert grown > table.sizeHintForColumn(1)
    table.show_values(("name", "share"), [("approach", "83 %")])
    assert table.columnWidth(1) == grown
