"""Step row: the buttons of the steps of a guided page."""

from collections.abc import Callable, Mapping

from PyQt5.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy


def step_row(
    buttons: Mapping[str, QPushButton],
    group: QButtonGroup,
    show: Callable[[str], None],
) -> QHBoxLayout:
    """Return the buttons in a row, as one group; a click calls `show` with the step's name."""
    row = QHBoxLayout()
    row.setSpacing(8)
    for name, button in buttons.items():
        button.setObjectName("step")
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        # `name` is bound here: each click must show the step of its own button
        button.clicked.connect(lambda _checked, step=name: show(step))
        group.addButton(button)
        row.addWidget(button)
    row.addStretch(1)
    return row
