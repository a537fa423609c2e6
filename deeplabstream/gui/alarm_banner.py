"""Alarm banner: what was not recorded, or broke; stays until it is acknowledged."""

from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton

from deeplabstream.gui.bridge import Bridge


class AlarmBanner(QFrame):
    """Shows the alarms of the rig above all pages, hidden while there is none."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("alarms")
        self._bridge = bridge
        self.words = QLabel()
        self.words.setObjectName("banner")
        self.words.setWordWrap(True)
        self.seen = QPushButton("Acknowledge")
        self.seen.clicked.connect(self._acknowledge)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.words, 1)
        row.addWidget(self.seen)
        bridge.ticked.connect(self.show_alarms)
        self.show_alarms()

    def show_alarms(self) -> None:
        """Show the alarms as they are now."""
        text = "\n".join(f"Alarm: {each.text}" for each in self._bridge.rig.alarms)
        if text != self.words.text():
            self.words.setText(text)
        self.setVisible(bool(text))

    def _acknowledge(self) -> None:
        self._bridge.rig.acknowledge()
        self.show_alarms()
