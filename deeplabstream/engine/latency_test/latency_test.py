"""Latency test of a rig: find the LED, then let the output follow it and read that back."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

import numpy as np

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Sensed
from deeplabstream.engine.latency_test.flashes import Events, Paired, pair
from deeplabstream.engine.latency_test.latency_result import (
    LatencyResult,
    now,
    timing_settings,
)
from deeplabstream.engine.latency_test.settings_of_test import (
    ANSWER,
    LED,
    TestWiring,
    settings_for_loop,
    settings_for_search,
)
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    carried_out,
)
from deeplabstream.engine.session.session import Session
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.pose.led_detector import (
    LEAST_GREY,
    Led,
    contrast,
    find_led,
    grey,
)
from deeplabstream.settings.sections import Settings

LEAST_FLASHES = 200
EVERY_S = 0.6
"""Mean interval of the flashes; an answer must come within half of it."""
SETTLE_S = 5.0
"""The flashes of the first seconds do not count: the clocks are being compared."""
_START_S = 90.0
SEARCH_LIMIT_S = 30.0
_EDGES = 12
"""Edges of the LED during which frames are compared."""
_APART_NS = 40_000_000
"""Between two frames that are compared."""
_EDGE_NS = 120_000_000
"""Frames that are exposed so near to an edge of the LED are neither lit nor dark."""
_MOST_LATE_NS = 500_000_000
"""Frames may show the LED so late, by their times."""
_TRIES = 10
"""Flashes without a result after which the test is given up."""
_DIMMED = 0.03
_SATURATED = 0.2
_POLL_S = 0.01

Say = Callable[[str], object]
Stopped = Callable[[], bool]
Shot = tuple[int, Image]
"""Time and image of a frame."""


@dataclass(frozen=True)
class Found:
    """Result of the search for the LED."""

    led: Led
    contrast: float
    dimmed: float


class TestStoppedError(DeviceError):
    """The user stopped the test."""


def run_latency_test(
    rig: Settings,
    wiring: TestWiring,
    flashes: int = LEAST_FLASHES,
    network: bool = True,
    every_s: float = EVERY_S,
    say: Say = lambda text: None,
    stopped: Stopped = lambda: False,
) -> LatencyResult:
    """Measure the delay of a rig from its deciding camera to an output.

    The rig's own processes run with its settings; its output is switched on with every
    flash of the board's LED. Everything is off afterwards.

    Parameters
    ----------
    rig : Settings
        The rig.
    wiring : TestWiring
        Output, board and pins.
    flashes : int
        Flashes that count.
    network : bool
        Whether the rig's network runs on each frame, beside the LED detector.
    every_s : float
        Mean interval of the flashes, s; the delay must be less than half of it.
    say : callable
        Gets what is being done, as sentences.
    stopped : callable
        Whether to stop; asked often.

    Raises
    ------
    DeviceError
        The LED is not seen, the output is not read back, or a part of the rig failed.
    """
    with tempfile.TemporaryDirectory(
        prefix="latency_", ignore_cleanup_errors=True
    ) as folder:
        runs = Path(folder)
        say("Searching for the LED …")
        search = settings_for_search(rig, wiring, runs)
        found = _search(search, wiring, stopped)
        x, y = found.led.centre
        say(
            f"The LED is at {x:.0f}, {y:.0f} px, {found.contrast:.0f} grey levels "
            f"brighter when it is lit. Measuring {flashes} flashes …"
        )
        loop = settings_for_loop(rig, wiring, found.led, runs, every_s, network)
        return _measure(loop, rig, wiring, flashes, say, stopped)


# --- where the LED is


def _search(settings: Settings, wiring: TestWiring, stopped: Stopped) -> Found:
    camera = settings.deciding_camera
    led: list[Sensed] = []
    answers: list[Sensed] = []
    shots: list[Shot] = []
    with _streaming(settings, AGENDAS["stream"], stopped) as session:
        for news in _news(session, SEARCH_LIMIT_S, stopped):
            for each in news:
                if isinstance(each, Sensed):
                    led += [each] if each.input == LED and each.device_us >= 0 else []
                    answers += [each] if each.input == ANSWER else []
            frame = session.newest(camera)
            apart = not shots or (
                frame is not None and frame.time_ns - shots[-1][0] > _APART_NS
            )
            if led and frame is not None and apart:
                shots.append((frame.time_ns, grey(frame.image).copy()))
            if len(led) > _EDGES:
                break
    _check_answer(wiring, led, answers)
    lit, dark = _split_best(shots, led)
    if not (lit and dark):
        raise DeviceError(
            f"[Camera {camera}] gave too few frames while the LED was lit and dark"
            if led
            else f"the board at {wiring.port} did not flash the LED"
        )
    return _found(settings, wiring, lit, dark)


def _split_best(
    shots: Sequence[Shot], led: Sequence[Sensed]
) -> tuple[list[Image], list[Image]]:
    """Return lit and dark frames by the delay at which they differ most.

    Frames without a time of exposure have that of their arrival, so they seem to show the
    LED late.
    """
    small = [(time_ns, _pooled(image)) for time_ns, image in shots]
    best, chosen = -np.inf, 0
    for delay_ns in range(0, _MOST_LATE_NS, 50_000_000):
        lit, dark = _split(small, led, delay_ns)
        if min(len(lit), len(dark)) >= 5:
            gain = float(contrast(lit, dark).max())
            if gain > best + 1:
                best, chosen = gain, delay_ns
    return _split(shots, led, chosen)


def _pooled(image: Image) -> Image:
    """Return an image of at most 320 columns, each pixel the brightest of its block."""
    step = -(-image.shape[1] // 320)
    rows, columns = (side // step * step for side in image.shape)
    blocks = image[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return cast("Image", blocks.max(axis=(1, 3)))


def _split(
    shots: Sequence[Shot], led: Sequence[Sensed], delay_ns: int
) -> tuple[list[Image], list[Image]]:
    """Return the frames that show the LED lit and dark, if they show it so much late."""
    lit: list[Image] = []
    dark: list[Image] = []
    times = np.array([edge.began_ns for edge in led], np.int64) + delay_ns
    for time_ns, image in shots:
        place = int(np.searchsorted(times, time_ns)) - 1
        if 0 <= place < len(times) - 1:
            near = min(time_ns - times[place], times[place + 1] - time_ns)
            if near > _EDGE_NS:
                (lit if led[place].active else dark).append(image)
    return lit, dark


def _found(
    settings: Settings,
    wiring: TestWiring,
    lit: Sequence[Image],
    dark: Sequence[Image],
) -> Found:
    """Return where the LED is; DeviceError: it is not seen, or the exposure is automatic."""
    camera = f"[Camera {settings.deciding_camera}]"
    search = find_led(lit, dark)
    exposure = _exposure_key(settings)
    if search.dimmed >= _DIMMED:
        raise DeviceError(
            f"{camera} has automatic exposure on: the frame gets {search.dimmed:.0%} darker "
            f"when the LED is lit; set a fixed {exposure}"
        )
    if search.led is None and search.saturated >= _SATURATED:
        raise DeviceError(
            f"{camera} is saturated: {search.saturated:.0%} of the pixels are at the upper "
            f"end, so a lit LED does not show; lower {exposure} or GAIN"
        )
    if search.led is None:
        raise DeviceError(
            f"{camera} does not see the LED at pin {wiring.led_pin}: no pixel gets "
            f"{LEAST_GREY} of 255 grey levels brighter with it (the best "
            f"{max(0.0, search.contrast):.0f}); place the LED in view, or check its pin"
        )
    return Found(search.led, search.contrast, search.dimmed)


def _exposure_key(settings: Settings) -> str:
    """Return the key of the deciding camera's exposure time."""
    names = {f.name for f in fields(settings.cameras[settings.deciding_camera])}
    return next(
        (each.upper() for each in ("exposure_us", "exposure") if each in names),
        "exposure time",
    )


def _check_answer(
    wiring: TestWiring, led: Sequence[Sensed], answers: Sequence[Sensed]
) -> None:
    """Raise DeviceError when the answer's pin is not still while the output is off."""
    changed = [each for each in answers if each.count or not each.active]
    edges = len(answers) - 1
    pin = f"pin {wiring.answer_pin} of the board at {wiring.port}"
    if answers and answers[-1].active and edges < 2:
        raise DeviceError(
            f"{pin} is active while [Output {wiring.output}] is off: connect the output to "
            "it, or use --active-low where its line is low while it is on"
        )
    if led and changed and edges >= 4:
        follows = np.abs(
            np.array([[a.device_us - b.device_us for b in led] for a in answers[1:]])
        ).min(axis=1)
        why = "it follows the LED" if np.median(follows) < 1000 else "is it connected?"
        raise DeviceError(
            f"{pin} changed {edges} times while [Output {wiring.output}] was off: {why}"
        )


# --- the loop


def _measure(
    settings: Settings,
    rig: Settings,
    wiring: TestWiring,
    wanted: int,
    say: Say,
    stopped: Stopped,
) -> LatencyResult:
    camera = settings.deciding_camera
    events = Events(wiring.output)
    paired, told = Paired((), 0, 0), 0
    every_s = settings.inputs[LED].every_s  # type: ignore[attr-defined]
    limit_s = SETTLE_S + 1.5 * every_s * (wanted + _TRIES) + _START_S
    begin_ns: int | None = None
    with _streaming(settings, AGENDAS["experiment"], stopped) as session:
        facts = session.state.network
        clock = session.state.devices.get(camera)
        for news in _news(session, limit_s, stopped):
            if not session.state.experimenting:
                raise DeviceError("the experiment of the test ended early")
            if begin_ns is None:
                begin_ns = SystemClock().now_ns() + round(SETTLE_S * 1e9)
            for each in news:
                if not isinstance(each, Sensed) or each.began_ns > begin_ns:
                    events.take(each)
            if len(events.led) > told:
                told = len(events.led)
                paired = pair(events)
                _check(paired, events, settings, wiring)
                if told % 20 == 0:
                    say(f"{len(paired.flashes)} of {wanted} flashes")
            if len(paired.flashes) >= wanted:
                break
        else:
            raise DeviceError(
                f"only {len(paired.flashes)} of {wanted} flashes were answered in "
                f"{limit_s:.0f} s: {paired.unseen} were not seen on any frame, of "
                f"{paired.unanswered} no answer was read"
            )
    ran = facts.facts if facts is not None and _has_network(settings) else None
    return LatencyResult(
        measured=now(),
        camera=camera,
        output=wiring.output,
        board=vars(wiring),
        network=rig.cameras[camera].model or rig.pose.model if ran else "",
        network_sha256=ran.sha256 if ran else "",
        exposure_known=_exposure_known(paired),
        unseen=paired.unseen,
        unanswered=paired.unanswered,
        clock_error_ms=_clock_error_ms(events, rig, wiring),
        settings=timing_settings(rig, wiring.output),
        flashes=paired.flashes[:wanted],
        remarks=tuple(_remarks(rig, paired, clock)),
    )


def _has_network(settings: Settings) -> bool:
    """Return whether a network runs beside the LED detector."""
    return not settings.pose.model.endswith(":")


def _clock_error_ms(events: Events, rig: Settings, wiring: TestWiring) -> float | None:
    """Return half the shortest round trip to the LED's board; None: it is not known.

    The acknowledgements of an output at another device say nothing of this board's clock.
    """
    same = getattr(rig.outputs[wiring.output], "port", "") == wiring.port
    if not same or events.round_trip_ns is None:
        return None
    return round(events.round_trip_ns / 2e6, 4)


def _exposure_known(paired: Paired) -> bool:
    return any(each.exposed_ns != each.arrived_ns for each in paired.flashes)


def _remarks(rig: Settings, paired: Paired, clock: object) -> Iterator[str]:
    camera = rig.deciding_camera
    if not _exposure_known(paired):
        yield (
            f"[Camera {camera}] reports no time of exposure: its times are those of "
            "arrival, so `exposure to output` lacks exposure and transfer; `led to output` "
            "has them"
        )
    plugin = rig.cameras[camera]
    key = _exposure_key(rig)
    if (
        getattr(plugin, key.lower(), 0) is None
        and type(plugin).__name__ != "SimulatedCamera"
    ):
        yield (
            f"[Camera {camera}] {key} is not set: if the camera chooses the exposure by "
            "itself, the delay changes with the light"
        )


def _check(
    paired: Paired, events: Events, settings: Settings, wiring: TestWiring
) -> None:
    """Raise DeviceError when nothing comes of the flashes."""
    if paired.flashes:
        return
    if paired.unanswered >= _TRIES:
        raise DeviceError(
            f"[Output {wiring.output}] was switched on {paired.unanswered} times, but pin "
            f"{wiring.answer_pin} of the board at {wiring.port} saw no edge: connect the "
            "output to that pin (and ground to ground), or name the pin with --answer-pin"
            if not events.answers
            else f"the answers of [Output {wiring.output}] come later than the next flash: "
            "use a longer --every"
        )
    if paired.unseen >= _TRIES:
        raise DeviceError(
            f"no frame of [Camera {settings.deciding_camera}] showed the LED in "
            f"{paired.unseen} flashes, though it was found before: has the light changed?"
        )


# --- sessions


@contextmanager
def _streaming(
    settings: Settings, agenda: Sequence[Action], stopped: Stopped
) -> Iterator[Session]:
    """Yield a session in which everything of the agenda runs; close it at the end."""
    with Session(settings) as session:
        for news in carried_out(RequestQueue(agenda), session, _START_S):
            _check_news(session, news, stopped)
        yield session
        session.close()


def _check_news(
    session: Session, news: Sequence[object], stopped: Stopped
) -> Sequence[object]:
    """Return them; DeviceError: something failed, or the user stopped the test."""
    if stopped():
        raise TestStoppedError("the latency test was stopped; outputs are off")
    for each in news:
        if isinstance(each, Failed) and each.grave:
            raise DeviceError(each.text)
    if session.state.phase is Phase.STOPPING:
        raise DeviceError("the stream ended during the latency test")
    return news


def _news(
    session: Session, seconds: float, stopped: Stopped
) -> Iterator[Sequence[object]]:
    """Yield what happens in a session, until the time is over."""
    clock = SystemClock()
    end_ns = clock.now_ns() + round(seconds * 1e9)
    while clock.now_ns() < end_ns:
        yield _check_news(session, session.poll(), stopped)
        session.rest(_POLL_S)
