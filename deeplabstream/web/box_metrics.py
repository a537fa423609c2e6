"""Box metrics: the states of all boxes as text for Prometheus."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from deeplabstream.rack.box_status import BoxStatus
from deeplabstream.rack.box_views import BoxView

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
"""Labels besides `box`, and value."""
Samples = Callable[[BoxStatus], Iterable[Sample]]


def _rates(status: BoxStatus) -> Iterator[Sample]:
    return (({"camera": name}, rate) for name, rate in status.rates.items())


def _nominal_rates(status: BoxStatus) -> Iterator[Sample]:
    return (({"camera": name}, rate) for name, rate in status.nominal_rates.items())


def _latencies(status: BoxStatus) -> Iterator[Sample]:
    names = ("0.5", "0.99")
    for name, ms in zip(names, status.latency_ms or (), strict=False):
        yield {"quantile": name}, ms / 1e3


def _if_known(value: float | None, factor: float = 1.0) -> list[Sample]:
    """Return the only sample of a value; an unknown one is left out."""
    return [] if value is None else [({}, value * factor)]


METRICS: dict[str, tuple[str, str, Samples]] = {
    "analysed_frames_per_second": ("gauge", "analysed frames per second", _rates),
    "nominal_frames_per_second": (
        "gauge",
        "frame rate of the camera by its driver",
        _nominal_rates,
    ),
    "latency_seconds": (
        "gauge",
        "exposure to decision or output of the last frames",
        _latencies,
    ),
    "trials": ("gauge", "trials of the run", lambda it: _if_known(it.trials)),
    "lost_frames": (
        "gauge",
        "frames that the cameras have lost",
        lambda it: _if_known(it.lost),
    ),
    "lost_video_frames": (
        "gauge",
        "frames that are missing in the videos",
        lambda it: _if_known(it.lost_to_video),
    ),
    "skipped_frames": (
        "gauge",
        "frames that were delivered and not analysed",
        lambda it: _if_known(it.skipped),
    ),
    "disk_free_bytes": (
        "gauge",
        "free space of the disk of the run",
        lambda it: _if_known(it.disk_free_gb, 1e9),
    ),
    "alarms_total": (
        "counter",
        "alarms since the start of the box",
        lambda it: _if_known(it.alarm_count),
    ),
}
"""By name, without `deeplabstream_`: type, meaning, and its samples of a box."""


def metrics(boxes: Iterable[BoxView]) -> str:
    """Return the text of all boxes; of one that does not run, only whether it runs and fails.

    Unknown values are left out.
    """
    boxes = [*boxes]
    running = [(box.name, box.status) for box in boxes if box.runs and box.status]
    lines = [
        *_head("box_runs", "gauge", "whether the program of the box runs"),
        *(_line("box_runs", {"box": box.name}, box.runs) for box in boxes),
        *_head("box_fails", "gauge", "an alarm, silence, or an unexpected end"),
        *(_line("box_fails", {"box": box.name}, box.fails) for box in boxes),
        *_head("box_state", "gauge", "1 for the present state of the box"),
        *(
            _line("box_state", {"box": box.name, "state": box.state}, 1)
            for box in boxes
        ),
    ]
    for name, (kind, about, samples) in METRICS.items():
        lines += _head(name, kind, about)
        for box, status in running:
            lines += [
                _line(name, {"box": box, **labels}, value)
                for labels, value in samples(status)
            ]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str) -> list[str]:
    return [
        f"# HELP deeplabstream_{name} {about}",
        f"# TYPE deeplabstream_{name} {kind}",
    ]


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"deeplabstream_{name}{{{shown}}} {float(value)!r}"


def _escaped(text: str) -> str:
    r"""Return the text of a label.

    >>> print(_escaped('a "b"'))
    a \"b\"
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
