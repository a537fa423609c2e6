"""The order in which a rack stops its boxes."""

from pathlib import Path

from deeplabstream.core.clock import ManualClock
from deeplabstream.rack.rack_run import _RackRun
from deeplabstream.rack.supervised_box import SupervisedBox
from deeplabstream.settings.rack_file import BoxSection, RackBox


class NotingBox(SupervisedBox):
    """A box that waits for its start, and notes what is done with it."""

    def __init__(self, rack: Path, name: str, done: list[str]) -> None:
        section = BoxSection(rig=rack.parent)
        super().__init__(rack, RackBox(name, section, {}), [], ManualClock())
        self.done = done

    @property
    def active(self) -> bool:
        return self.name != "idle"

    def stop(self) -> None:
        self.done.append(f"stop {self.name}")

    def note_stop(self) -> None:
        self.done.append(f"note {self.name}")


def test_all_boxes_are_stopped_before_anything_is_written(tmp_path: Path) -> None:
    done: list[str] = []
    names = ("left", "idle", "right")
    boxes = {name: NotingBox(tmp_path / "rack.ini", name, done) for name in names}
    run = _RackRun(
        boxes, lambda _text: done.append("report"), ManualClock(), None, True
    )
    run.carry_out("stop")
    stops, notes = [f"stop {name}" for name in names], ["note left", "note right"]
    assert done == [*stops, *notes, "report", "report"]

    done.clear()
    run.carry_out("stop left")
    assert done == ["stop left", "note left", "report"]
