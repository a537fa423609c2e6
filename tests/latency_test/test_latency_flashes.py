"""Flashes of the latency test: which frame and which answer belong to which flash."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deeplabstream.core.command import OutputName, on
from deeplabstream.core.journal_entries import Acknowledged, Sensed, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.latency_test.flashes import (
    PARTS,
    Events,
    pair,
    patch_delays_ms,
    statistics,
)
from deeplabstream.latency_test.led_rig import (
    ANSWER,
    LED,
    PATCH,
    Wiring,
)
from deeplabstream.latency_test.screen_patch import ScreenPatch

MS = 1_000_000
POSE = Pose(Skeleton(("led",)), np.zeros((1, 1, 2), np.float32), np.ones((1, 1)))
LASER = Wiring("laser")
START_US = 4_000_000_000
"""On the board's clock, unwrapped."""


def rig(
    delays_ms: list[float],
    skipped: frozenset[int] = frozenset(),
    broken: frozenset[int] = frozenset(),
    clock_error_ms: float = 0.0,
    wiring: Wiring = LASER,
) -> Events:
    """Return what the journal of a rig has whose network takes these delays.

    `skipped`: flashes that no frame shows; `broken`: flashes without an answer. A patch is
    painted 8 ms before a photodiode sees it.
    """
    events = Events(wiring)
    draw = np.random.default_rng(0)
    lit_ms = 1000.0
    for n, delay_ms in enumerate([*delays_ms, 0.0]):
        led_us = START_US + round(lit_ms * 1e3)
        shown_ns = round((lit_ms + clock_error_ms) * MS)
        painted_ns = shown_ns - 8 * MS
        if wiring.screen is not None:
            events.take(Sensed(PATCH, True, n, painted_ns, painted_ns))
        if wiring.flash_input == LED:
            events.take(Sensed(LED, True, n, shown_ns, shown_ns, led_us))
        wait_ms = float(draw.uniform(0, 10))
        exposed = round((lit_ms + wait_ms) * MS)
        answer_ms = lit_ms + wait_ms + 3 + delay_ms + 1
        if n not in skipped:
            posed = exposed + round((3 + delay_ms) * MS)
            decided = posed + MS // 4
            step = Step(
                "top", 10 * n, exposed, exposed + 3 * MS, posed, decided,
                decided + 5 * MS, POSE, {}, (on(OutputName(wiring.switched)),),
            )  # fmt: skip
            acted = decided + MS // 2
            events.take(step)
            if not wiring.half:
                events.take(Acknowledged("laser", 1, decided, acted, acted + MS))
            if n not in broken and not wiring.half:
                answer_us = START_US + round(answer_ms * 1e3)
                answer_ns = round((answer_ms + clock_error_ms) * MS)
                events.take(Sensed(ANSWER, True, n, answer_ns, answer_ns, answer_us))
        lit_ms += float(draw.uniform(480, 720))
    return events


@pytest.mark.parametrize("delay_ms", [2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120])
def test_each_delay_is_measured(delay_ms: float) -> None:
    paired = pair(rig([delay_ms] * 200))
    assert (len(paired.flashes), paired.unseen, paired.unanswered) == (200, 0, 0)
    ms = statistics(paired.flashes)
    assert ms["exposure_to_output"]["p50"] == pytest.approx(delay_ms + 4, abs=0.01)
    assert ms["exposure_to_output"]["jitter"] < 0.01
    assert 4 < ms["led_to_exposure"]["p50"] < 6
    assert ms["network"]["p99"] == pytest.approx(delay_ms, abs=0.01)


def test_the_parts_add_up_to_the_whole() -> None:
    for flash in pair(rig([10.0, 50.0, 20.0])).flashes:
        parts = flash.parts_ms
        assert list(parts) == list(PARTS)
        assert sum(parts.values()) == pytest.approx(flash.led_to_output_ms, abs=0.01)
        assert parts["serial"] == pytest.approx(0.5)


def test_slow_flashes_show_in_the_tail() -> None:
    ms = statistics(pair(rig([10.0] * 190 + [60.0] * 10)).flashes)["exposure_to_output"]
    assert ms["p50"] == pytest.approx(14, abs=0.01)
    assert ms["p99"] == pytest.approx(64, abs=0.01) == ms["max"]


def test_flashes_without_frame_or_answer_are_counted_and_shift_no_other() -> None:
    paired = pair(rig([20.0] * 30, frozenset({4, 5}), frozenset({9, 20})))
    assert (len(paired.flashes), paired.unseen, paired.unanswered) == (26, 2, 2)
    assert statistics(paired.flashes)["exposure_to_output"]["max"] < 25


@pytest.mark.parametrize("error_ms", [-30.0, 30.0])
def test_an_error_of_the_clocks_joins_no_wrong_flashes(error_ms: float) -> None:
    """`led to output` is by the board's clock alone."""
    right, shifted = (pair(rig([20.0] * 30, clock_error_ms=e)) for e in (0.0, error_ms))
    assert len(shifted.flashes) == 30
    assert [each.led_to_output_ms for each in shifted.flashes] == [
        each.led_to_output_ms for each in right.flashes
    ]


def test_half_the_loop_ends_with_the_decision() -> None:
    paired = pair(rig([20.0] * 30, frozenset({4}), wiring=Wiring(screen=0)))
    assert (len(paired.flashes), paired.unseen, paired.unanswered) == (29, 1, 0)
    ms = statistics(paired.flashes)
    assert ms["exposure_to_decision"]["p50"] == pytest.approx(23.25, abs=0.01)
    assert list(ms)[2:] == list(PARTS)[:4]
    for flash in paired.flashes:
        parts = sum(flash.parts_ms.values())
        assert parts == pytest.approx(flash.led_to_decision_ms)
        assert 31 < parts < 42, "8 ms from painting to light, up to 10 to the exposure"


@pytest.mark.parametrize("error_ms", [-4.0, 4.0])
def test_a_photodiode_measures_the_patch_by_the_board_alone(error_ms: float) -> None:
    wiring = Wiring("laser", screen=0, photodiode_pin=3)
    led, light = (
        rig([20.0] * 30, clock_error_ms=error_ms, wiring=each)
        for each in (Wiring("laser"), wiring)
    )
    assert pair(light) == pair(led)
    assert patch_delays_ms(led) == []
    assert patch_delays_ms(light) == pytest.approx([8.0] * 31)


@pytest.mark.parametrize("after_ms", [2.0, 40.0, 250.0])
def test_a_backlight_that_flickers_adds_no_flashes(after_ms: float) -> None:
    """Each further edge of the photodiode within a flash is that flash."""
    wiring = Wiring("laser", screen=0, photodiode_pin=3)
    steady, flickers = (rig([20.0] * 30, wiring=wiring) for _ in range(2))
    for each in [*flickers.led]:
        began_ns = each.began_ns + round(after_ms * MS)
        device_us = each.device_us + round(after_ms * 1e3)
        again = replace(each, began_ns=began_ns, device_us=device_us)
        flickers.led.insert(flickers.led.index(each) + 1, again)
    assert pair(flickers) == pair(steady)
    assert patch_delays_ms(flickers) == patch_delays_ms(steady)


class BrokenWrite:
    """A screen's write with a mistake in it."""

    def __call__(self, level: float) -> None:
        raise KeyError("scene")

    def check(self) -> None: ...


def test_any_error_of_the_patch_reaches_the_test() -> None:
    write: Any = BrokenWrite()
    patch = ScreenPatch(write, "the patch on screen 0")
    with pytest.raises(KeyError, match="scene"), patch.flashing(0.1) as news:
        for thread in threading.enumerate():
            if thread.name == PATCH:
                thread.join()
        news()


def test_a_patch_without_a_photodiode_is_lit_when_it_is_painted() -> None:
    """By the computer's clock, to which the answer is converted."""
    paired = pair(rig([20.0] * 30, wiring=Wiring("laser", screen=0)))
    assert len(paired.flashes) == 30
    for flash in paired.flashes:
        parts = sum(flash.parts_ms.values())
        assert parts == pytest.approx(flash.led_to_output_ms, abs=0.01)
    ms = statistics(paired.flashes)
    assert ms["exposure_to_output"]["p50"] == pytest.approx(24, abs=0.01)
    assert 8 < ms["led_to_exposure"]["p50"] < 18
