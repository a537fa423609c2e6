"""Metrics of boxes for Prometheus, read by its own parser."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.rack.box_views import BoxView
from deeplabstream.web.box_metrics import METRICS, metrics
from tests.web.test_rack_page import STATUS

ROOT = Path(__file__).resolve().parents[2]
parser = pytest.importorskip("prometheus_client.parser")


def view(**changes: object) -> BoxView:
    box = BoxView(
        name="left",
        runs=True,
        waits=False,
        state="streaming",
        fails=False,
        animal="m1",
        status=replace(STATUS, disk_free_gb=12.5, lost=3, alarm_count=2),
    )
    return replace(box, **changes)  # type: ignore[arg-type]


def samples(*boxes: BoxView) -> dict[tuple[str, ...], float]:
    """Return the values by name and the texts of the labels."""
    return {
        (
            sample.name.removeprefix("deeplabstream_"),
            *sample.labels.values(),
        ): sample.value
        for family in parser.text_string_to_metric_families(metrics(boxes))
        for sample in family.samples
    }


def test_the_values_of_a_box_are_in_base_units() -> None:
    assert samples(view()) == {
        ("box_runs", "left"): 1,
        ("box_fails", "left"): 0,
        ("box_state", "left", "streaming"): 1,
        ("analysed_frames_per_second", "left", "top"): 30,
        ("latency_seconds", "left", "0.5"): 0.005,
        ("latency_seconds", "left", "0.99"): 0.006,
        ("trials", "left"): 2,
        ("lost_frames", "left"): 3,
        ("lost_video_frames", "left"): 0,
        ("skipped_frames", "left"): 0,
        ("disk_free_bytes", "left"): 12.5e9,
        ("alarms_total", "left"): 2,
    }


def test_the_error_of_a_camera_is_in_pixels_and_an_unknown_one_is_left_out() -> None:
    errors = {"left": 1.5, "right": None}
    found = samples(view(status=replace(STATUS, left_out_px=errors)))
    named = {key: px for key, px in found.items() if key[0] == "left_out_pixels"}
    assert named == {("left_out_pixels", "left", "left"): 1.5}


def test_the_light_phase_is_0_or_1() -> None:
    for phase, value in (("light", 1), ("dark", 0)):
        status = replace(STATUS, light=LightMoment(phase, 3.0))  # type: ignore[arg-type]
        assert samples(view(status=status))["light_phase", "left"] == value


def test_values_that_are_not_known_are_left_out() -> None:
    found = samples(view(status=replace(STATUS, lost=None, latency_ms=None)))
    assert {"lost_frames", "disk_free_bytes", "latency_seconds"}.isdisjoint(
        key[0] for key in found
    )


def test_a_box_that_does_not_run_has_no_values_of_its_last_run() -> None:
    found = samples(view(runs=False, state="ended unexpectedly", fails=True))
    assert found == {
        ("box_runs", "left"): 0,
        ("box_fails", "left"): 1,
        ("box_state", "left", "ended unexpectedly"): 1,
    }


def test_every_text_of_a_label_can_be_read_again() -> None:
    odd = 'a "b" \\ c\nd'
    assert samples(view(state=odd, status=None))["box_state", "left", odd] == 1


def test_every_metric_has_its_type_and_meaning() -> None:
    families = {
        family.name.removeprefix("deeplabstream_"): family
        for family in parser.text_string_to_metric_families(metrics([view()]))
    }
    for name, (kind, about, _) in METRICS.items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (kind, about)


def test_the_board_for_grafana_shows_metrics_that_exist() -> None:
    text = (ROOT / "docs/grafana_rigs.json").read_text("utf-8")
    board = json.loads(text)
    shown = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"deeplabstream_(\w+)", target["expr"])
    }
    assert shown <= {*METRICS, "box_runs", "box_fails", "box_state"}
    assert len(shown) >= 9
