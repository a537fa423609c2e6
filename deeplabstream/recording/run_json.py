"""Validation of `run.json`, whose content can be damaged."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from deeplabstream.core.journal_entries import Measured
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.behaviour_columns import BEHAVIOURS, are_behaviours
from deeplabstream.recording.resumed_state import RESUMED, is_resumed

Facts = dict[str, Any]


def validate_facts(found: object) -> tuple[Facts, list[str]]:
    """Return the entries, with defaults for invalid ones, and the names of the invalid ones."""
    facts: Facts = dict(found) if isinstance(found, Mapping) else {}
    bad = []
    for name, (is_valid, default) in _CHECKS.items():
        optional = name in _OPTIONAL and name not in facts
        if optional or (name in facts and is_valid(facts[name])):
            continue
        bad.append(name)
        facts.pop(name, None)
        if name not in _OPTIONAL:
            facts[name] = default()
    return facts, bad


def stream_start(facts: Mapping[str, Any]) -> datetime:
    """Return the time of Start Stream, the zero of `time_s`."""
    started = datetime.fromisoformat(facts["started"])
    since_ns = facts.get("started_ns", facts["start_ns"]) - facts["start_ns"]
    return started - timedelta(microseconds=since_ns // 1000)


def networks_of_run(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of a run's networks by name; empty: the network has no file."""
    model = facts["model"] or {}
    networks = [model, model.get("infrared"), *model.get("cameras", {}).values()]
    return {
        str(network["name"]): str(network.get("sha256") or "")
        for network in networks
        if network
    }


def skeleton_facts(skeleton: Skeleton) -> dict[str, Any]:
    """Return a skeleton as in `run.json`, where its edges have an old name."""
    return {
        "bodyparts": skeleton.bodyparts,
        "bones": skeleton.edges,
        "animals": skeleton.animals,
    }


def skeleton_from(facts: Mapping[str, Any]) -> Skeleton:
    """Return the skeleton that `run.json` describes."""
    edges = tuple((first, second) for first, second in facts["bones"])
    return Skeleton(tuple(facts["bodyparts"]), edges, tuple(facts.get("animals", ())))


def measure_facts(measured: Sequence[Measured], start_ns: int) -> list[dict[str, Any]]:
    """Return the live measures as in `run.json`: of the experiments, else of the analysis.

    Times in s since Start Stream; a value that is not defined is null.
    """
    chosen = [delay for delay in measured if delay.experiment] or measured[-1:]
    return [
        {
            "experiment": delay.experiment,
            "camera": delay.camera,
            "start_s": (delay.start_ns - start_ns) / 1e9,
            "end_s": (delay.time_ns - start_ns) / 1e9,
            "unit": delay.unit,
            "values": [
                {
                    "animal": animal,
                    "measure": measure,
                    "of": of,
                    "value": value if isfinite(value) else None,
                }
                for animal, measure, of, value in delay.values
            ],
        }
        for delay in chosen
    ]


def _is_whole_number(value: object) -> bool:
    return type(value) is int and abs(value) < 9e18


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= float(str(value)) <= 1


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_time(value: object) -> bool:
    try:
        return not value or bool(datetime.fromisoformat(str(value)))
    except ValueError:
        return False


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_skeleton(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, Mapping):
        return False
    parts: Any = value.get("bodyparts")
    edges: Any = value.get("bones")
    animals: Any = value.get("animals", [])
    return (
        _is_list_of_text(parts)
        and _is_list_of_text(animals)
        and bool(parts)
        and len(set(parts)) == len(parts)
        and len(set(animals)) == len(animals)
        and isinstance(edges, list)
        and all(
            _is_list_of_text(edge) and len(edge) == 2 and set(edge) <= set(parts)
            for edge in edges
        )
    )


def _is_network(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("name"), str)
        and _is_share(value.get("threshold"))
        and (value.get("infrared") is None or _is_network(value["infrared"]))
    )


def _is_model(value: object) -> bool:
    if value is None:
        return True
    if not _is_network(value) or not isinstance(value, Mapping):
        return False
    own = value.get("cameras", {})
    return isinstance(own, Mapping) and all(map(_is_network, own.values()))


def _is_camera(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    shape, rate = value.get("shape"), value.get("rate")
    return (
        isinstance(shape, list)
        and len(shape) in (2, 3)
        and all(type(side) is int and 0 < side < 2**16 for side in shape)
        and (len(shape) == 2 or shape[2] == 3)
        and (rate is None or (type(rate) in (int, float) and 0 < rate < 1e6))
    )


def _are_cameras(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_camera, value.values()))


def _is_account(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    counts = ["lost", "analysed", "skipped", "unlisted", "recorded", "recording_losses"]
    return (
        all(isinstance(value.get(name), str) for name in ("camera", "span"))
        and _is_whole_number(value.get("delivered"))
        and all(value.get(n) is None or _is_whole_number(value[n]) for n in counts)
        and _is_list_of_text(value.get("files"))
        and {*counts} <= {*value}
        and (value.get("dropped") is None or _is_whole_number(value["dropped"]))
    )


def _are_accounts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_account, value))


def _are_measures(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping) and isinstance(entry.get("values"), list)
        for entry in value
    )


def is_timing(value: object) -> bool:
    """Return whether an entry of `timing` is as `latency_result` writes it."""
    if not isinstance(value, Mapping):
        return False
    texts = "file", "sha256", "measured", "camera", "output"
    figures = timing_figures(value)
    return (
        all(isinstance(value.get(name), str) for name in texts)
        and _is_whole_number(value.get("flashes"))
        and all(_are_percentiles(value.get(name)) for name in figures)
        and _is_list_of_text(value.get("changed"))
    )


def timing_figures(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the figures in an entry of `timing`; without output to the decision."""
    if entry.get("output"):
        return ("exposure_to_output_ms",)
    return "exposure_to_decision_ms", "flash_to_decision_ms"


def _are_percentiles(ms: object) -> bool:
    return (
        isinstance(ms, Mapping)
        and {"p50", "p99"} <= {*ms}
        and all(type(n) in (int, float) and abs(n) < 1e9 for n in ms.values())
    )


def _are_timings(value: object) -> bool:
    return isinstance(value, list) and all(map(is_timing, value))


def _is_audit(value: object) -> bool:
    """Return whether the entry is as `audited_triggers` writes it."""
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(name), str) for name in ("run", "made"))
        and _is_whole_number(value.get("judged"))
        and all(_is_list_of_text(value.get(name)) for name in ("figures", "changed"))
    )


def _are_pulse_inputs(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(entry, Mapping)
        and _is_list_of_text(entry.get("cameras"))
        and type(entry.get("most_delay_ms")) in (int, float)
        and entry["most_delay_ms"] > 0
        for entry in value.values()
    )


def _are_pulses(value: object) -> bool:
    """Return whether a summary of matched pulses is as `exposure_pulses` writes it."""
    if not isinstance(value, Mapping):
        return False
    cameras, skew = value.get("cameras"), value.get("skew")
    counts = ["frames", "matched", "no_pulse", "refused", "lost", "unplaced"]
    counts += ["silent", "unlisted"]
    return (
        isinstance(cameras, list)
        and all(
            isinstance(camera, Mapping)
            and all(_is_whole_number(camera.get(name)) for name in counts)
            and all(isinstance(camera.get(name), str) for name in ("camera", "input"))
            and isinstance(camera.get("lost_pulses"), list)
            and _is_list_of_text(camera.get("why"))
            and (camera.get("delay_ms") is None or _are_ms(camera["delay_ms"]))
            for camera in cameras
        )
        and isinstance(skew, list)
        and all(
            isinstance(entry, Mapping)
            and _is_list_of_text(entry.get("cameras"))
            and isinstance(entry.get("by"), str)
            and _is_whole_number(entry.get("pulses"))
            and _are_ms(entry.get("ms"))
            for entry in skew
        )
    )


def _are_ms(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        type(value.get(name)) in (int, float) for name in ("p50", "p95", "max")
    )


_CHECKS: Mapping[str, tuple[Callable[[object], bool], Callable[[], object]]] = {
    "schema": (_is_whole_number, int),
    "started": (_is_time, str),
    "ended": (_is_time, lambda: None),
    "how": (_is_text, lambda: None),
    "cameras": (_are_cameras, dict),
    "skeleton": (_is_skeleton, lambda: None),
    "model": (_is_model, lambda: None),
    "start_ns": (_is_whole_number, lambda: None),
    "accounting": (_are_accounts, list),
    "started_ns": (_is_whole_number, int),
    "repaired": (_is_list_of_text, list),
    "not_saved": (_is_list_of_text, list),
    "measures": (_are_measures, list),
    "timing": (_are_timings, list),
    "audit": (_is_audit, lambda: None),
    "pulse_inputs": (_are_pulse_inputs, dict),
    "pulses": (_are_pulses, dict),
    BEHAVIOURS: (are_behaviours, dict),
    RESUMED: (is_resumed, lambda: None),
}
_OPTIONAL = (
    "schema",
    "started_ns",
    "repaired",
    "not_saved",
    "measures",
    "timing",
    "audit",
    "pulse_inputs",
    "pulses",
    BEHAVIOURS,
    RESUMED,
)
