"""Which events of boxes are alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from deeplabstream.rack.box_status import SILENT, BoxAlarm
from deeplabstream.rack.rack_alarms import RackAlarms
from deeplabstream.rack.supervised_box import SupervisedBox


@dataclass
class Report:
    alarms: tuple[BoxAlarm, ...] = ()


@dataclass
class Box:
    """What a rack sees of a box."""

    name: str = "left"
    state: str = "streaming"
    running: bool = True
    active: bool = True
    scheduled: bool = False
    failures: int = 0
    status: Report | None = None
    switched_off: tuple[BoxAlarm, ...] = ()


@dataclass
class Outlet:
    raised: list[tuple[str, str, bool]] = field(default_factory=list)
    well: list[bool] = field(default_factory=list)

    def raise_alarm(self, source: str, text: str, urgent: bool) -> None:
        self.raised.append((source, text, urgent))

    def watch(self, well: bool) -> None:
        self.well.append(well)


class Desk:
    def __init__(self) -> None:
        self.box, self.outlet = Box(), Outlet()
        boxes = [cast("SupervisedBox", self.box)]
        self.alarms = RackAlarms(boxes, self.outlet)

    def watch(
        self, said: Mapping[str, Sequence[str]] | None = None, **seen: Any
    ) -> None:
        for name, value in seen.items():
            setattr(self.box, name, value)
        self.alarms.watch(said or {})


def test_each_alarm_of_a_box_is_sent_once_also_after_its_restart() -> None:
    desk = Desk()
    first, second = BoxAlarm("lost", True, 10), BoxAlarm("lost", True, 20)
    desk.watch(status=Report((first,)))
    desk.watch(status=Report((first,)))
    desk.watch(status=None)
    desk.watch(status=Report((second,)))
    assert desk.outlet.raised == 2 * [("left", "lost", True)]


def test_a_box_that_does_not_answer_is_an_alarm_and_so_is_its_answer() -> None:
    desk = Desk()
    desk.watch(state=SILENT)
    desk.watch(state=SILENT)
    desk.watch(state="streaming")
    assert desk.outlet.raised == [
        ("left", "the box does not answer", True),
        ("left", "the box answers again", False),
    ]
    assert desk.outlet.well == [False, False, True]


def test_an_unexpected_end_is_an_alarm_and_a_planned_one_is_none() -> None:
    desk = Desk()
    desk.watch({"left": ["[Box left] ended"]}, running=False, active=False)
    assert desk.outlet.raised == []
    assert desk.outlet.well == [True]

    said = ["[Box left] killed by SIGKILL", "[Box left] will be restarted in 10 s"]
    desk.watch({"left": said}, failures=1, active=True)
    assert desk.outlet.raised == [("left", "; ".join(said), True)]
    assert desk.outlet.well[-1] is False
