"""Frames whose times come late: numbered rightly or not at all, also after a missed pulse."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deeplabstream.space.moment_matching import MomentMatcher
from deeplabstream.space.pulse_numbering import ALONE, WINDOW, PulseNumbers

PERIOD = 10_000_000
CAMERAS = ("left", "right", "front")


@dataclass(frozen=True)
class Shot:
    """A frame, and the pulse that truly exposed it."""

    camera: str
    pulse: int
    index: int
    time_ns: int


def shots(
    seed: int,
    late: float,
    count: int = 300,
    lost: float = 0.0,
    missed: tuple[int, ...] = (),
    camera: str = "right",
) -> list[Shot]:
    """Frames by time: up to `late` periods late; `camera` misses pulses: its count stands still.

    A lost frame was exposed and counted.
    """
    rng = np.random.default_rng(seed)
    found = []
    for name in CAMERAS:
        index = int(rng.integers(0, 1000))
        delays = rng.uniform(0, late, count) + rng.uniform(0, 0.1)
        for pulse in range(count):
            if name == camera and pulse in missed:
                continue
            index += 1
            if rng.random() >= lost:
                time_ns = round((pulse + delays[pulse]) * PERIOD)
                found.append(Shot(name, pulse, index, time_ns))
    # a camera's frames come in order
    return sorted(found, key=lambda shot: (shot.time_ns, shot.pulse))


def numbered(
    frames: list[Shot], messages: list[str] | None = None
) -> Iterator[tuple[Shot, int]]:
    numbers = PulseNumbers(CAMERAS)
    for shot in frames:
        found = numbers.add(shot.camera, shot.index, shot.time_ns)
        if messages is not None:
            messages += numbers.messages
        if found is not None:
            yield shot, found.number


def pulses_by_number(found: list[tuple[Shot, int]]) -> dict[int, set[int]]:
    pulses = defaultdict(set)
    for shot, number in found:
        pulses[number].add(shot.pulse)
    return pulses


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 0.9),
    st.floats(0, 0.3),
    st.sets(st.integers(0, 299), max_size=3),
    st.sampled_from(CAMERAS),
)
@example(0, 0.9, 0.3, {100, 101}, "left")
@example(900, 0.6231081428205628, 0.28242419524220364, {11, 107}, "left")
@example(888, 0.9416075788133164, 0.0510197139243243, {221, 18, 97, 258}, "right")
@example(41, 0.9240985383216875, 0.12285534431549605, {76, 95}, "left")
@settings(max_examples=60, deadline=None)
def test_frames_of_one_number_show_one_pulse(
    seed: int, late: float, lost: float, missed: set[int], camera: str
) -> None:
    frames = shots(seed, late, lost=lost, missed=tuple(missed), camera=camera)
    pulses = pulses_by_number([*numbered(frames)])
    assert all(len(own) == 1 for own in pulses.values())
    # numbers grow with the pulses
    in_order = [min(pulses[number]) for number in sorted(pulses)]
    assert in_order == sorted(set(in_order))


def test_times_alone_match_late_frames_wrongly() -> None:
    matcher = MomentMatcher[int](CAMERAS)
    frames = shots(1, late=0.8)
    ended = [matcher.add(it.camera, it.time_ns, it.pulse) for it in frames]
    wrong = [it for it in ended if it is not None and len({*it.views.values()}) > 1]
    assert wrong


def test_most_frames_get_a_number_although_their_times_vary() -> None:
    # exposures of two cameras are up to 0.6 periods apart; each is known within 0.5
    frames = shots(2, late=0.6)
    found = [*numbered(frames)]
    later = [it for it in frames if it.pulse > 2 * WINDOW]
    known = [shot for shot, _ in found if shot.pulse > 2 * WINDOW]
    assert len(known) > 0.7 * len(later)


def test_a_missed_pulse_is_reported_and_numbers_are_right_again() -> None:
    messages: list[str] = []
    found = [*numbered(shots(3, late=0.3, missed=(150,)), messages)]
    (message,) = messages
    assert message.startswith("[Camera right] missed 1 of the pulses")

    right = [shot.pulse for shot, _ in found if shot.camera == "right"]
    assert not [pulse for pulse in right if 150 <= pulse < 150 + WINDOW]
    assert len([pulse for pulse in right if pulse >= 155 + WINDOW]) > 100
    others = [shot.pulse for shot, _ in found if shot.camera == "left"]
    assert {*range(150, 175)} <= {*others}


def test_a_pulse_counted_twice_is_reported() -> None:
    frames = [
        Shot(it.camera, it.pulse, it.index + 1, it.time_ns)
        if it.camera == "front" and it.pulse >= 120
        else it
        for it in shots(4, late=0.3)
    ]
    messages: list[str] = []
    pulses = pulses_by_number([*numbered(frames, messages)])
    assert [text[:37] for text in messages] == ["[Camera front] counted 1 too many of "]
    assert all(len(own) == 1 for own in pulses.values())


def test_after_a_pause_of_all_pulses_numbers_begin_anew() -> None:
    frames = [
        Shot(
            it.camera, it.pulse, it.index, it.time_ns + 3_700_000_00 * (it.pulse >= 150)
        )
        for it in shots(5, late=0.3)
    ]
    messages: list[str] = []
    found = [*numbered(frames, messages)]
    assert messages == []
    pulses = pulses_by_number(found)
    assert all(len(own) == 1 for own in pulses.values())
    assert len([number for number, own in pulses.items() if min(own) > 200]) > 90


def test_a_camera_that_follows_no_pulses_is_reported_once() -> None:
    frames = [
        Shot(it.camera, it.pulse, it.index, round(it.time_ns * 1.02))
        if it.camera == "front"
        else it
        for it in shots(6, late=0.1, count=ALONE * 3)
    ]
    messages: list[str] = []
    pulses = pulses_by_number(
        [*numbered(sorted(frames, key=lambda it: it.time_ns), messages)]
    )
    assert messages
    assert {text.split("]")[0] for text in messages} == {"[Camera front"}
    assert pulses


def test_equal_frames_get_equal_numbers() -> None:
    frames = shots(7, late=0.7, lost=0.2, missed=(90,))
    assert [*numbered(frames)] == [*numbered(frames)]


def test_to_ask_for_a_pulse_changes_nothing_and_tells_what_is_given() -> None:
    frames = shots(8, late=0.7, lost=0.2, missed=(90, 91))
    asked, plain = PulseNumbers(CAMERAS), PulseNumbers(CAMERAS)
    known = 0
    for place, shot in enumerate(frames):
        expected = asked.expected(shot.camera, shot.index, shot.time_ns)
        for later in frames[place : place + 20]:
            asked.expected(later.camera, later.index, later.time_ns)
        given = asked.add(shot.camera, shot.index, shot.time_ns)
        assert given == plain.add(shot.camera, shot.index, shot.time_ns)
        if expected is not None:
            assert given is not None
            assert expected.number == given.number
            known += 1
    assert known > 0.4 * len(frames)
