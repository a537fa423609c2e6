"""The window's question whether the plug-ins of a rig folder may be run."""

import pytest
from PyQt5.QtWidgets import QMessageBox

from deeplabstream.gui.dialogs import questions


@pytest.mark.parametrize(("button", "trusted"), [(0, True), (1, False)])
def test_only_the_button_that_says_so_runs_plugins(
    qtbot: object, monkeypatch: pytest.MonkeyPatch, button: int, trusted: bool
) -> None:
    shown: list[str] = []

    def click(box: QMessageBox) -> None:
        assert box.defaultButton() is box.buttons()[1]
        shown.append(box.text())
        box.buttons()[button].click()

    monkeypatch.setattr(questions, "run_dialog", click)
    monkeypatch.setattr(QMessageBox, "clickedButton", lambda box: box.buttons()[button])
    assert questions.confirm_plugins("<b>evil.py</b> Run them?") is trusted
    assert shown == ["<b>evil.py</b> Run them?"]
