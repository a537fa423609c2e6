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


def _light(status: BoxStatus) -> Iterator[Sample]:
    if status.light is not None:
        yield {}, float(status.light.phase == "light")


def _left_out(status: BoxStatus) -> Iterator[Sample]:
    for name, px in status.left_out_px.items():
        if px is not None:
            yield {"camera": name}, px


def _value(name: str, factor: float = 1.0) -> Samples:
    """Return a function of a field of the status; an unknown value has no sample."""

    def samples(status: BoxStatus) -> Iterator[Sample]:
        value = getattr(status, name)
        if value is not None:
            yield {}, value * factor

    return samples


_TABLE: tuple[tuple[str, str, Samples], ...] = (
    ("analysed_frames_per_second", "analysed frames per second", _rates),
    ("nominal_frames_per_second", "frame rate by the camera's driver", _nominal_rates),
    ("latency_seconds", "exposure to decision or output, last frames", _latencies),
    ("light_phase", "1: light phase of the room, 0: dark phase", _light),
    ("left_out_pixels", "error by leaving a camera of [Space] out", _left_out),
    ("trials", "trials of the run", _value("trials")),
    ("lost_frames", "frames that the cameras have lost", _value("lost")),
    ("lost_video_frames", "frames missing in the videos", _value("lost_to_video")),
    ("skipped_frames", "frames delivered and not analysed", _value("skipped")),
    ("disk_free_bytes", "free space of the run's disk", _value("disk_free_gb", 1e9)),
    ("alarms_total", "alarms since the start of the box", _value("alarm_count")),
)
METRICS = {
    name: ("counter" if name.endswith("_total") else "gauge", about, samples)
    for name, about, samples in _TABLE
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
