"""Latency test of a rig: find the LED or patch, let the output follow it, and measure delays."""

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

import numpy as np

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Sensed
from deeplabstream.engine.measured_latency import timing_settings
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    carried_out,
)
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.latency_test.flashes import (
    CLOCKS_NS,
    Events,
    Paired,
    pair,
    patch_delays_ms,
    spread_ms,
)
from deeplabstream.latency_test.latency_result import LatencyResult, now, word_of
from deeplabstream.latency_test.led_rig import (
    ANSWER,
    LED,
    PATCH,
    SEARCH_S,
    Wiring,
    settings_for_loop,
    settings_for_search,
)
from deeplabstream.latency_test.screen_patch import (
    News,
    ScreenPatch,
    screen_patch,
)
from deeplabstream.pose.led_detector import (
    LEAST_GREY,
    Led,
    contrast,
    find_led,
    grey,
)
from deeplabstream.settings.sections import Settings
from deeplabstream.simulation.arena import ArenaCamera

LEAST_FLASHES = 200
EVERY_S = 0.6
"""Mean interval of the flashes; an answer must come within half of it."""
SETTLE_S = 5.0
"""Time before which flashes do not count, because the clocks are still being
compared."""
_START_S = 90.0
SEARCH_LIMIT_S = 30.0
_EDGES = 12
"""Edges of LED or patch during which frames are compared."""
_APART_NS = 40_000_000
"""Shortest time between two frames that are compared."""
_EDGE_NS = 120_000_000
"""Frames exposed nearer to an edge of the LED than this count as neither lit nor dark."""
_MOST_LATE_NS = 500_000_000
"""Longest delay with which frames may show the LED, by their times."""
_TRIES = 10
"""Flashes without a result after which the test is aborted."""
_DIMMED = 0.03
_SATURATED = 0.2
_POLL_S = 0.01

ReportLine = Callable[[str], object]
Stopped = Callable[[], bool]
Shot = tuple[int, Image]
"""Time and image of a frame."""


@dataclass(frozen=True)
class LocatedFlash:
    """Result of the search for LED or patch."""

    led: Led
    contrast: float
    dimmed: float
    inverted: bool = False
    """Whether the photodiode's input is low while the patch is lit."""


class TestStoppedError(DeviceError):
    """The user stopped the test."""


def run_latency_test(
    rig: Settings,
    wiring: Wiring,
    flashes: int = LEAST_FLASHES,
    network: bool = True,
    every_s: float = EVERY_S,
    report: ReportLine = lambda text: None,
    stopped: Stopped = lambda: False,
) -> LatencyResult:
    """Measure the delay of a rig from its deciding camera to an output.

    The rig's own processes run with its settings; its output is switched on with every
    flash of LED or patch. Everything is off afterwards.

    Parameters
    ----------
    rig : Settings
        The rig.
    wiring : Wiring
        Output, light source, board and pins.
    flashes : int
        Number of flashes to measure.
    network : bool
        Whether the rig's network runs on each frame, beside the LED's detector.
    every_s : float
        Mean interval of the flashes, s; the delay must be less than half of it.
    report : callable
        Called with a line of text for each step.
    stopped : callable
        Returns whether to stop; called often.

    Raises
    ------
    DeviceError
        LED or patch is not seen, the output is not read back, or a part of the rig failed.
    """
    with (
        tempfile.TemporaryDirectory(
            prefix="latency_", ignore_cleanup_errors=True
        ) as folder,
        screen_patch(wiring) as patch,
    ):
        runs = Path(folder)
        report(f"Searching for the {wiring.flash_word} …")
        search = settings_for_search(rig, wiring, runs)
        found = _search(search, wiring, patch, stopped)
        wiring = replace(wiring, photodiode_low=found.inverted)
        x, y = found.led.centre
        report(
            f"The {wiring.flash_word} is at {x:.0f}, {y:.0f} px, {found.contrast:.0f} grey "
            f"levels brighter when it is lit. Measuring {flashes} flashes …"
        )
        loop = settings_for_loop(rig, wiring, found.led, runs, every_s, network)
        measuring = _Measuring(rig, loop, wiring, flashes, every_s)
        return measuring.run(patch, report, stopped)


def _flashing(
    patch: ScreenPatch | None, every_s: float
) -> AbstractContextManager[News]:
    """Flash the patch, if there is one."""
    return patch.flashing(every_s) if patch else nullcontext(list)


# --- search for LED or patch


def _search(
    settings: Settings,
    wiring: Wiring,
    patch: ScreenPatch | None,
    stopped: Stopped,
) -> LocatedFlash:
    camera = settings.deciding_camera
    edges: dict[str, list[Sensed]] = {LED: [], ANSWER: [], PATCH: []}
    shots: list[Shot] = []
    with (
        _streaming(settings, AGENDAS["stream"], stopped) as session,
        _flashing(patch, SEARCH_S) as painted,
    ):
        for news in _news(session, SEARCH_LIMIT_S, stopped, painted):
            for event in news:
                if isinstance(event, Sensed) and event.input in edges:
                    edges[event.input].append(event)
            frame = session.newest(camera)
            apart = not shots or (
                frame is not None and frame.time_ns - shots[-1][0] > _APART_NS
            )
            driven = _driven(wiring, edges)
            if driven and frame is not None and apart:
                shots.append((frame.time_ns, grey(frame.image).copy()))
            if len(driven) > _EDGES:
                break

    # without the level at opening, which is not an edge
    led = [event for event in edges[wiring.flash_input] if event.count]
    inverted = False
    if wiring.photodiode_pin:
        inverted = check_photodiode(wiring, _driven(wiring, edges), led)
        led = [replace(event, active=event.active is not inverted) for event in led]
    check_answer(wiring, led, edges[ANSWER])

    lit, dark = _split_best(shots, led)
    if not (lit and dark):
        silent = f"the board at {wiring.port} did not flash the LED"
        if patch is not None:
            silent = f"{wiring.flash_place} was not painted"
        raise DeviceError(
            f"[Camera {camera}] gave too few frames while the {wiring.flash_word} was lit "
            "and dark"
            if led
            else silent
        )
    return replace(_found(settings, wiring, lit, dark), inverted=inverted)


def _driven(wiring: Wiring, edges: Mapping[str, Sequence[Sensed]]) -> Sequence[Sensed]:
    """Return the driven edges of LED or patch that could be seen.

    A photodiode sees none before its input is open and has reported its first level.
    """
    if wiring.screen is None:
        return edges[LED]
    if not wiring.photodiode_pin:
        return edges[PATCH]
    if not edges[LED]:
        return ()
    open_ns = edges[LED][0].received_ns
    return [edge for edge in edges[PATCH] if edge.began_ns > open_ns]


def check_photodiode(
    wiring: Wiring, painted: Sequence[Sensed], seen: Sequence[Sensed]
) -> bool:
    """Return whether the input is low while the patch is lit; DeviceError: it does not follow."""
    pin = f"pin {wiring.photodiode_pin} of the board at {wiring.port}"
    place = wiring.flash_place
    if not seen:
        raise DeviceError(
            f"{pin} detected no edge of the photodiode while {place} was painted "
            f"{len(painted)} times: place it on the patch, and check its supply and the pin"
        )
    if len(seen) > 2 * len(painted):
        raise DeviceError(
            f"{pin} changed {len(seen)} times while {place} was painted {len(painted)} "
            "times: the screen's backlight flickers; set it to full brightness, or smooth "
            "the photodiode's signal"
        )
    if 2 * len(seen) < len(painted):
        raise DeviceError(
            f"{pin} changed only {len(seen)} times while {place} was painted "
            f"{len(painted)} times: place the photodiode in the middle of the patch, or "
            "change its threshold"
        )

    # decided by majority, because single edges may be noise
    times = [edge.began_ns for edge in painted]
    levels = [
        painted[last].active is edge.active
        for edge in seen
        if (last := bisect_right(times, edge.began_ns + CLOCKS_NS) - 1) >= 0
    ]
    return 2 * sum(levels) < len(levels)


def _split_best(
    shots: Sequence[Shot], led: Sequence[Sensed]
) -> tuple[list[Image], list[Image]]:
    """Return lit and dark frames by the delay at which they differ most.

    Frames without a time of exposure have that of their arrival, so they seem to show the
    LED late.
    """
    # downscaled, because many delays are tried
    small = [(time_ns, _pooled(image)) for time_ns, image in shots]
    best, chosen = -np.inf, 0
    for delay_ns in range(0, _MOST_LATE_NS, 50_000_000):
        lit, dark = _split(small, led, delay_ns)
        if min(len(lit), len(dark)) >= 5:
            gain = float(contrast(lit, dark).max())
            # of delays that differ only by noise, the shortest is correct
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
    """Return the frames that show the LED lit and dark, if they show it `delay_ns` late."""
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
    wiring: Wiring,
    lit: Sequence[Image],
    dark: Sequence[Image],
) -> LocatedFlash:
    """Return the position of the LED; DeviceError: not found, or the exposure is automatic."""
    camera = f"[Camera {settings.deciding_camera}]"
    search = find_led(lit, dark)
    exposure = _exposure_key(settings)
    if search.dimmed >= _DIMMED:
        raise DeviceError(
            f"{camera} has automatic exposure on: the frame gets {search.dimmed:.0%} darker "
            f"when the {wiring.flash_word} is lit; set a fixed {exposure}"
        )
    if search.led is None and search.saturated >= _SATURATED:
        raise DeviceError(
            f"{camera} is saturated: {search.saturated:.0%} of the pixels are at the upper "
            f"end, so a lit {wiring.flash_word} does not show; lower {exposure} or GAIN"
        )
    if search.led is None:
        advice = "place the LED in view, or check its pin"
        if wiring.screen is not None:
            advice = (
                "point the camera at the screen's top left corner, or use --full-screen"
            )
        raise DeviceError(
            f"{camera} does not see {wiring.flash_place}: no pixel gets "
            f"{LEAST_GREY} of 255 grey levels brighter with it (the best "
            f"{max(0.0, search.contrast):.0f}); {advice}"
        )
    return LocatedFlash(search.led, search.contrast, search.dimmed)


def _exposure_key(settings: Settings) -> str:
    """Return the key of the deciding camera's exposure time."""
    names = {f.name for f in fields(settings.cameras[settings.deciding_camera])}
    return next(
        (name.upper() for name in ("exposure_us", "exposure") if name in names),
        "exposure time",
    )


def check_answer(
    wiring: Wiring, led: Sequence[Sensed], answers: Sequence[Sensed]
) -> None:
    """Raise DeviceError if the answer's pin changes while the output is off."""
    changed = [answer for answer in answers if answer.count or not answer.active]
    edges = len(answers) - 1
    pin = f"pin {wiring.answer_pin} of the board at {wiring.port}"
    if answers and answers[-1].active and edges < 2:
        raise DeviceError(
            f"{pin} is active while [Output {wiring.output}] is off: connect the output to "
            "it, or use --active-low where its line is low while it is on"
        )
    if led and changed and edges >= 4:
        # time from each change to the nearest edge of LED or patch: a short one shows cross-talk
        follows = np.abs(
            np.array([[a.began_ns - b.began_ns for b in led] for a in answers[1:]])
        ).min(axis=1)
        if wiring.screen is None:
            why = "it follows the LED"
            within_ns = 1_000_000
        else:
            why = "it follows the patch; a photodiode on that needs --photodiode-pin"
            within_ns = _EDGE_NS
        if np.median(follows) >= within_ns:
            why = "is it connected?"
        raise DeviceError(
            f"{pin} changed {edges} times while [Output {wiring.output}] was off: {why}"
        )


# --- measurement


@dataclass
class _Measuring:
    """Measurement of the flashes, with the settings of rig and test."""

    rig: Settings
    settings: Settings
    wiring: Wiring
    count: int
    every_s: float

    def run(
        self, patch: ScreenPatch | None, report: ReportLine, stopped: Stopped
    ) -> LatencyResult:
        camera = self.settings.deciding_camera
        events = Events(self.wiring)
        with (
            _streaming(self.settings, AGENDAS["experiment"], stopped) as session,
            _flashing(patch, self.every_s) as painted,
        ):
            facts = session.state.network
            clock = session.state.devices.get(camera)
            paired = self._pairs(session, painted, events, report, stopped)
        ran = facts.facts if facts is not None and _has_network(self.settings) else None
        delays_ms = patch_delays_ms(events)
        return LatencyResult(
            measured=now(),
            camera=camera,
            output=self.wiring.output,
            board=vars(self.wiring),
            network=self.rig.cameras[camera].model or self.rig.pose.model
            if ran
            else "",
            network_sha256=ran.sha256 if ran else "",
            exposure_known=_exposure_known(paired),
            unseen=paired.unseen,
            unanswered=paired.unanswered,
            clock_error_ms=clock_error_ms(events, self.rig, self.wiring),
            settings=timing_settings(self.rig, self.wiring.output),
            flashes=paired.flashes[: self.count],
            remarks=tuple(_remarks(self.rig, self.wiring, paired, clock)),
            patch_ms=spread_ms(delays_ms) if delays_ms else None,
        )

    def _pairs(
        self,
        session: RigSession,
        painted: News,
        events: Events,
        report: ReportLine,
        stopped: Stopped,
    ) -> Paired:
        """Return the flashes when `count` of them were answered."""
        paired, reported = Paired((), 0, 0), 0
        limit_s = SETTLE_S + 1.5 * self.every_s * (self.count + _TRIES) + _START_S
        begin_ns = SystemClock().now_ns() + round(SETTLE_S * 1e9)
        for news in _news(session, limit_s, stopped, painted):
            if not session.state.experimenting:
                raise DeviceError("the experiment of the test ended early")
            for event in news:
                if not isinstance(event, Sensed) or event.began_ns > begin_ns:
                    events.take(event)
            self._check_light(events)
            if len(events.flashes) > reported:
                reported = len(events.flashes)
                # pair all flashes again: an answer may have arrived after the previous
                # pairing
                paired = pair(events)
                _check(paired, events, self.settings, self.wiring)
                if reported % 20 == 0:
                    report(f"{len(paired.flashes)} of {self.count} flashes")
            if len(paired.flashes) >= self.count:
                return paired
        raise DeviceError(
            f"only {len(paired.flashes)} of {self.count} flashes were answered in "
            f"{limit_s:.0f} s: {paired.unseen} were not seen on any frame, of "
            f"{paired.unanswered} no answer was read"
        )

    def _check_light(self, events: Events) -> None:
        """Raise DeviceError if the photodiode no longer detects the patch."""
        if len(events.painted) - len(events.flashes) >= _TRIES:
            raise DeviceError(
                f"pin {self.wiring.photodiode_pin} of the board at {self.wiring.port} saw "
                f"{len(events.flashes)} of {len(events.painted)} flashes of "
                f"{self.wiring.flash_place}: has the photodiode moved?"
            )


def _has_network(settings: Settings) -> bool:
    """Return whether a network runs beside the LED's detector."""
    return not settings.pose.model.endswith(":")


def clock_error_ms(events: Events, rig: Settings, wiring: Wiring) -> float | None:
    """Return half the shortest round trip to the flashes' board; None: it is not known.

    Acknowledgements of an output at another device do not depend on this board's clock.
    """
    if wiring.half:
        return None if wiring.photodiode_pin else 0.0
    same = getattr(rig.outputs[wiring.output], "port", "") == wiring.port
    if not same or events.round_trip_ns is None:
        return None
    return round(events.round_trip_ns / 2e6, 4)


def _exposure_known(paired: Paired) -> bool:
    return any(flash.exposed_ns != flash.arrived_ns for flash in paired.flashes)


def _remarks(
    rig: Settings, wiring: Wiring, paired: Paired, clock: object
) -> Iterator[str]:
    camera = rig.deciding_camera
    if not _exposure_known(paired):
        end = "decision" if wiring.half else "output"
        word = word_of(wiring)
        yield (
            f"[Camera {camera}] reports no time of exposure: its times are those of "
            f"arrival, so `exposure to {end}` lacks exposure and transfer; `{word} to "
            f"{end}` has them"
        )
    plugin = rig.cameras[camera]
    key = _exposure_key(rig)
    automatic = getattr(plugin, key.lower(), 0) is None
    if automatic and not isinstance(plugin, ArenaCamera):
        yield (
            f"[Camera {camera}] {key} is not set: if the camera chooses the exposure by "
            "itself, the delay changes with the light"
        )


def _check(paired: Paired, events: Events, settings: Settings, wiring: Wiring) -> None:
    """Raise DeviceError if no flash was answered after `_TRIES` of them."""
    if paired.flashes:
        return
    if paired.unanswered >= _TRIES:
        raise DeviceError(
            f"[Output {wiring.output}] was switched on {paired.unanswered} times, but pin "
            f"{wiring.answer_pin} of the board at {wiring.port} detected no edge: connect the "
            "output to that pin (and ground to ground), or name the pin with --answer-pin"
            if not events.answers
            else f"the answers of [Output {wiring.output}] come later than the next flash: "
            "use a longer --every"
        )
    if paired.unseen >= _TRIES:
        raise DeviceError(
            f"no frame of [Camera {settings.deciding_camera}] showed the "
            f"{wiring.flash_word} in "
            f"{paired.unseen} flashes, though it was found before: has the light changed?"
        )


# --- sessions


@contextmanager
def _streaming(
    settings: Settings, agenda: Sequence[Action], stopped: Stopped
) -> Iterator[RigSession]:
    """Yield a session in which all parts of the agenda run; close it at the end."""
    with RigSession(settings) as session:
        for news in carried_out(RequestQueue(agenda), session, _START_S):
            _check_news(session, news, stopped)
        yield session
        session.close()


def _check_news(
    session: RigSession, news: Sequence[object], stopped: Stopped
) -> Sequence[object]:
    """Return the events; DeviceError: something failed, or the user stopped the test."""
    if stopped():
        raise TestStoppedError("the latency test was stopped; outputs are off")
    for event in news:
        if isinstance(event, Failed) and event.grave:
            raise DeviceError(event.text)
    if session.state.phase is Phase.STOPPING:
        raise DeviceError("the stream ended during the latency test")
    return news


def _news(
    session: RigSession, seconds: float, stopped: Stopped, painted: News
) -> Iterator[Sequence[object]]:
    """Yield the events of a session and the patch until the time is over."""
    clock = SystemClock()
    end_ns = clock.now_ns() + round(seconds * 1e9)
    while clock.now_ns() < end_ns:
        yield [*_check_news(session, session.poll(), stopped), *painted()]
        session.rest(_POLL_S)
