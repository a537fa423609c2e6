"""A plate that is moved while it is watched: confirmed movements, hidden markers, the way back."""

from deeplabstream.engine.plate_watch import (
    AWAY_FLAG,
    CHECK_S,
    CONFIRMED,
    HIDDEN_S,
    STALE_S,
    PlateSeen,
    PlateWatch,
)
from tests.engine.loop_rig import IN, MS, rig

S = 1_000_000_000
HIDDEN = "markers not seen: 7 (upper left)"


class Watched:
    """A watch of arenas of 60 px whose checks come once per second."""

    def __init__(self) -> None:
        self.watch = PlateWatch(3.0)
        self.watch.reset()
        self.watch.problem_at(0)
        self.time_ns = 0

    def seen(self, *checks: float | str) -> list[bool]:
        """Return after each check, a movement in px or a problem, whether the plate is away."""
        away = []
        for check in checks:
            self.time_ns += int(CHECK_S * S)
            if isinstance(check, str):
                self.watch.take(PlateSeen(self.time_ns, problem=check))
            else:
                self.watch.take(PlateSeen(self.time_ns, check))
            away.append(bool(self.watch.problem_at(self.time_ns)))
        return away


def test_a_movement_counts_when_it_is_confirmed_and_so_does_its_end() -> None:
    plate = Watched()
    assert plate.seen(0.4, 9.0, 0.3, 9.0, 9.2) == [False, False, False, False, True]
    assert "moved by 9.2 px" in plate.watch.problem_at(plate.time_ns)
    assert plate.seen(0.5, 9.0, 0.5, 0.4) == [True, True, True, False]
    assert CONFIRMED == 2


def test_a_plate_within_the_tolerance_stays_in_place() -> None:
    assert not any(Watched().seen(*[2.9] * 10))


def test_a_hand_before_the_markers_is_no_alarm_until_it_stays() -> None:
    plate = Watched()
    few = [HIDDEN] * int(HIDDEN_S / CHECK_S)
    assert not any(plate.seen(0.2, *few[:-1], 0.2, *few[:-1]))
    assert plate.seen(0.2, *few)[-1]
    problem = plate.watch.problem_at(plate.time_ns)
    assert HIDDEN in problem and f"for {HIDDEN_S:g} s" in problem
    # it is gone, and the plate is where it was
    assert plate.seen(0.2, 0.2) == [True, False]


def test_a_plate_that_is_hidden_after_a_movement_stays_away() -> None:
    plate = Watched()
    assert plate.seen(9.0, 9.0, HIDDEN, HIDDEN, 9.0)[1:] == [True] * 4


def test_a_plate_that_is_no_longer_looked_for_is_unknown() -> None:
    plate = Watched()
    plate.seen(0.2)
    late_ns = plate.time_ns + int(STALE_S * S)
    assert plate.watch.problem_at(late_ns) == ""
    assert "not looked for" in plate.watch.problem_at(late_ns + 1)
    # nor before the first check
    plate.watch.reset()
    assert plate.watch.problem_at(late_ns) == ""
    assert plate.watch.problem_at(2 * late_ns + int(STALE_S * S))


def test_a_new_analysis_begins_with_the_plate_in_place() -> None:
    plate = Watched()
    assert plate.seen(9.0, 9.0) == [False, True]
    plate.watch.reset()
    assert plate.watch.problem_at(plate.time_ns) == ""


def test_nothing_is_estimated_and_nothing_stays_on_while_the_plate_is_away() -> None:
    plate = PlateWatch(3.0)
    # seven frames are estimated: a further one would have no place
    with rig([IN] * 7, plate=plate) as it:
        it.show(2)
        assert it.level == 1.0
        for moved_px, frames in ((9.0, 1), (9.1, 20), (0.1, 2), (0.1, 4)):
            plate.take(PlateSeen(it.index * 10 * MS, moved_px))
            it.show(frames)
            if frames == 20:
                assert it.level == 0.0
    unknown = [step.index for step in it.steps if step.triggers["inside"] is None]
    assert unknown == [*range(3, 25)]
    assert "lost" in it.causes()
    away = [step.index for step in it.steps if dict(step.flags) == AWAY_FLAG]
    assert away == [*range(3, 25)]
    assert "unknown from frame 3 on" in it.notes()
    assert "known again from frame 25 on" in it.notes()
    assert it.steps[-1].triggers["inside"] is True
