"""Screenshots of the window of a rack: its tiles, and one box in full."""

from collections.abc import Iterator
from pathlib import Path

from PyQt5.QtCore import QTimer

from deeplabstream.gui.application import use_palette
from deeplabstream.gui.dialogs.rack_form import EXAMPLES
from deeplabstream.gui.rack_window import RackWindow
from deeplabstream.gui.theme import PALETTES
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.rack_draft import RackDraft
from deeplabstream.settings.rack_file import RackFile, load_rack

_BOXES = {"left": 0, "right": 0, "flies": 1}
"""Number of the example in `EXAMPLES` that each box runs."""
_TICK_MS, _SETTLE_TICKS, _START_TICKS = 500, 5, 240
_SIZE = 1366, 768
_QUALITY = 88


def simulated_rack(folder: Path) -> RackFile:
    """Make a rack of simulated boxes in a folder."""
    draft = RackDraft(folder / "rack.ini")
    examples = [*EXAMPLES.values()]
    for seed, (name, example) in enumerate(_BOXES.items(), start=1):
        rig = make_rig(folder / name, examples[example]())
        file = rig / "settings.ini"
        text = file.read_text("utf-8").replace("\nSEED = 1\n", f"\nSEED = {seed}\n")
        file.write_text(text, "utf-8")
        draft.add(name, rig)
        draft.set(name, "ANIMAL", f"m{seed}" if example == 0 else "plate 7")
    draft.save()
    return load_rack(draft.path)


class RackPhotographer:
    """Starts all boxes, takes screenshots when they have run long enough, stops them."""

    def __init__(self, window: RackWindow, folder: Path, after_s: float) -> None:
        self._window, self._folder, self._after_s = window, folder, after_s
        self.taken: list[Path] = []
        self._steps = self._pictures()
        self._timer = QTimer()
        self._timer.timeout.connect(self._go_on)
        window.resize(*_SIZE)
        self._timer.start(_TICK_MS)

    def _go_on(self) -> None:
        if next(self._steps, self) is self:
            self._timer.stop()
            self._window.end()

    def _pictures(self) -> Iterator[None]:
        """Do the next step, and yield."""
        window = self._window
        window.start_all.click()
        for _ in range(_START_TICKS):
            if self._all_run:
                break
            yield
        for _ in range(round(self._after_s * 1000 / _TICK_MS)):
            yield
        if not self._all_run:
            return  # a box has ended, as on an overloaded computer
        for style in PALETTES:
            use_palette(style)
            window.show_tiles()
            yield from [None] * _SETTLE_TICKS
            self._take(f"rack_{style}.jpg")
            window.show_in_full("left")
            yield from [None] * _SETTLE_TICKS
            self._take(f"box_{style}.jpg")
        window.stop_everything()
        while window.running:
            yield

    @property
    def _all_run(self) -> bool:
        """Whether each box shows an image."""
        return all(tile.view.place for tile in self._window.tiles.values())

    def _take(self, name: str) -> None:
        file = self._folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._window.grab().save(str(file), quality=_QUALITY)
        self.taken.append(file)
