"""What benchmarks/loop_latency.py --long says about a late pulse."""

from typing import Any

import pytest

from benchmarks.support.delay_causes import Late, explanation, totals

MS = 1_000_000
STILL = {"engine": [0, 0, 0, 0], "camera": [0, 0, 0, 0]}


def samples(steal: int = 0, **counted: list[int]) -> list[dict[str, Any]]:
    """Return two samples, at 0 and 40 ms, between which this was counted."""
    return [
        {"at_ns": 0, "steal": 0, "of": STILL},
        {"at_ns": 40 * MS, "steal": steal, "of": STILL | counted},
    ]


SLOW_POSE = Late(5 * MS, 6 * MS, 34 * MS, 35 * MS, 36 * MS, 0)


@pytest.mark.parametrize(
    ("counted", "cause"),
    [
        (samples(engine=[1 * MS, 27 * MS, 0, 0]), "the engine waited for a core"),
        (samples(engine=[27 * MS, 0, 3, 0]), "the engine computed"),
        (samples(engine=[1 * MS, 0, 9, 2]), "waited for a page from the disk"),
        (samples(steal=3), "the hypervisor gave the cores to others"),
        (samples(), "the engine slept"),
        (samples()[:1], "not explained"),
    ],
)
def test_the_cause_is_what_accounts_for_half_of_the_lost_time(
    counted: list[dict[str, Any]], cause: str
) -> None:
    said = explanation(SLOW_POSE, counted)
    assert said.startswith("31.0 ms at 0.01 s: 28.0 ms in wake-up and pose")
    assert cause in said


def test_a_late_camera_and_a_busy_network_are_told_apart() -> None:
    late = Late(1 * MS, 30 * MS, 31 * MS, 31 * MS, 31 * MS, 0)
    counted = samples(camera=[0, 28 * MS, 0, 0])
    assert "the camera waited for a core" in explanation(late, counted)
    busy = Late(1 * MS, 2 * MS, 31 * MS, 31 * MS, 31 * MS, 30 * MS)
    assert "busy with the frame before" in explanation(busy, counted)


def test_counters_are_given_per_second() -> None:
    found = totals(samples(engine=[4 * MS, 0, 8, 0]), 0, 40 * MS)
    assert found["engine"] == {"run": 100.0, "wait": 0.0, "minor": 200.0, "major": 0.0}
