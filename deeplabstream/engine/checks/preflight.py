"""Pre-flight checks: cameras, network, outputs, clock and disk space before an experiment."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.checks.animal_appearance import (
    distinctness_by_camera,
    identified_animals,
)
from deeplabstream.engine.checks.system_monitor import nearest_existing
from deeplabstream.engine.session.animal_memory import memory_sentences
from deeplabstream.engine.session.session_state import SessionState
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.plugins.remote import RemoteRecorder
from deeplabstream.pose.tracking.distinctness import listed
from deeplabstream.settings.cross_checks import check_against
from deeplabstream.settings.sections import Settings

ENOUGH = 0.9
"""Share of its set rate from which a camera counts as delivering that rate."""
TOO_LITTLE = 0.2
"""Share of its set rate below which the deciding camera delivers too few frames."""
FAR_ABOVE_S = 5.0
"""LOST_MS and PATIENCE_S above this are far above their defaults, 0.5 s."""
AHEAD_MS = 100.0
"""A frame with an exposure time this much after its arrival has a wrong time."""
WARNING = "warning: "
"""Start of the notes of findings that need attention."""
EARLIEST_YEAR = 2025
"""First plausible year: an earlier one means that the clock is not set."""


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """Result of one check."""

    text: str
    """A sentence; if `grave`, it completes "Cannot start because …"."""
    grave: bool = False
    """Whether the experiment can't start."""
    good: bool = True
    """False: it needs attention."""

    @property
    def note(self) -> str:
        """The text for the record of the run."""
        return self.text if self.good else f"{WARNING}{self.text}"


def _warning(text: str, grave: bool = False) -> PreflightResult:
    return PreflightResult(text, grave, good=False)


def inspect(settings: Settings, state: SessionState) -> list[PreflightResult]:
    """Return all findings, including good ones, of a session that streams and analyses."""
    return [
        *_run_folder(settings, state),
        *_cameras(settings, state),
        *_clocks(settings, state),
        *_network(settings, state),
        *_regions(settings, state),
        *_identities(settings, state),
        *_limits(settings),
        *_outputs(settings, state),
        *_recorders(settings, state),
        *_check_disk_space(settings, state),
    ]


def _run_folder(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    """Warn of an earlier experiment in the run folder, and of tables that are not written."""
    if state.tables_lost:
        failed = {
            "analysis": "the run folder could not be made. Stop and start the analysis",
            "run": "the run has failed. Stop and start the stream",
        }[state.tables_lost]
        text = f"poses, triggers and commands are not recorded: {failed}"
        yield _warning(text, grave=settings.experiment.on_recording_lost == "stop")
    if state.experiments and state.run_folder is not None:
        yield _warning(
            f"This is experiment {state.experiments + 1} of run "
            f"{state.run_folder.name}; stop the stream first to get a new run folder"
        )


def _cameras(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    for camera, form in state.formats.items():
        if not state.counts[camera].delivered:
            yield _warning(f"[Camera {camera}] has given no frame yet")
            continue
        if camera not in state.rates:
            continue
        rate, deciding = state.rates[camera], camera == settings.deciding_camera
        measured = f"[Camera {camera}] gives {rate:.1f} frames/s"
        if not rate:
            silent = f"[Camera {camera}] no longer gives frames"
            yield _warning(silent, grave=deciding)
        elif not form.rate or rate >= ENOUGH * form.rate:
            yield PreflightResult(measured)
        else:
            slow = f"{measured} and not {form.rate:g}: exposure, light or cable?"
            yield _warning(slow, grave=deciding and rate < TOO_LITTLE * form.rate)


def _network(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    parts = ", ".join(state.skeleton.bodyparts) if state.skeleton else ""
    if state.skeleton is None:
        yield PreflightResult("the network is not loaded yet", grave=True)
    else:
        yield PreflightResult(f"the network finds {parts}; it runs on {state.provider}")
        yield from _network_speed(settings, state)
        problems = check_against(settings, state.skeleton)
        for problem in problems:
            yield PreflightResult(problem, grave=True)
        if not problems:
            yield PreflightResult(
                "it has all body parts of the triggers and of [Tracking]"
            )


def _network_speed(
    settings: Settings, state: SessionState
) -> Iterator[PreflightResult]:
    """Compare the network's time for a frame with the rates of the analysed cameras."""
    taken_ms = state.network.frame_ms if state.network else {}
    rates = {
        camera: state.rates.get(camera) or state.formats[camera].rate
        for camera in taken_ms
        if camera in state.formats
    }
    load = sum(rate * taken_ms[camera] / 1e3 for camera, rate in rates.items())
    if load <= 1:
        return
    slowest = max(taken_ms.values())
    text = (
        f"the network takes {slowest:.0f} ms per frame, too long for "
        f"{sum(rates.values()):.0f} analysed frames/s: about "
        f"{1 - 1 / load:.0%} of the frames will be skipped"
    )
    if len(rates) > 1:
        text += (
            f"; [Camera {settings.deciding_camera}] goes first, the other cameras get at "
            f"least every fourth analysis together"
        )
    yield _warning(f"{text}. Lower the cameras' RATE, or use a faster network")


def _regions(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    yield from _arenas(settings, state)
    good = 0
    for zone in trigger_shapes_of(settings):
        form = state.formats.get(zone.camera)
        if form is None:
            continue
        outside = _outside(zone.outline.tolist(), form)
        whose = f"the region of [Trigger {zone.trigger}]"
        frame = f"the frame of [Camera {zone.camera}], {form.width}×{form.height}"
        if outside == 1:
            yield _warning(f"{whose} lies outside {frame}", grave=len(zone.outline) > 1)
        elif outside:
            yield _warning(f"{whose} lies partly outside {frame}")
        else:
            good += 1
    if good:
        lie = "region of a trigger lies" if good == 1 else "regions of triggers lie"
        yield PreflightResult(f"{good} {lie} in the frame")


def _arenas(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    form = state.formats.get(settings.deciding_camera)
    if form is None or not settings.arenas:
        return
    outside = {
        name: share
        for name, region in settings.arenas.items()
        if (share := _outside(region.outline().tolist(), form))
    }
    camera = f"the frame of [Camera {settings.deciding_camera}]"
    if outside:
        names = ", ".join(outside)
        text = f"arenas not within {camera}, {form.width}×{form.height}: {names}"
        yield _warning(f"{text}. Change [Arenas]", grave=1 in outside.values())
    else:
        yield PreflightResult(f"{len(settings.arenas)} arenas lie in {camera}")


def _identities(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    """Warn of animals that look alike, and of those whose appearance is not known yet."""
    names = identified_animals(settings, state)
    stays = "stay so until you confirm the names"
    if after_s := settings.animals.believe_after_s:
        stays = f"follow motion alone after {after_s:g} s (BELIEVE_AFTER_S)"
    for camera, known in distinctness_by_camera(settings, state).items():
        used = state.used_settings or settings
        for text, is_warning in memory_sentences(used, camera):
            yield _warning(text) if is_warning else PreflightResult(text)
        alike, undecided, unlearned = known.sentences(names)
        if alike:
            yield _warning(
                f"[Camera {camera}] {alike}: once ambiguous, their identities {stays}. "
                "Mark them, for instance with dye"
            )
        if undecided:
            yield _warning(
                f"[Camera {camera}] {undecided}. Wait until all animals have walked "
                "about, apart from each other"
            )
        if unlearned:
            yield _warning(
                f"[Camera {camera}] {unlearned}, so it is not known whether they look "
                "alike. Wait until all animals were seen apart"
            )
        if known.remark:
            yield _warning(f"[Camera {camera}] {known.remark}")
        if not alike and not undecided and not unlearned:
            yield PreflightResult(
                f"[Camera {camera}] {listed(names)} look different{known.certainty}"
            )


def _outside(points: list[list[float]], form: ImageFormat) -> float:
    """Return the share of points outside the image."""
    inside = [0 <= x <= form.width and 0 <= y <= form.height for x, y in points]
    return 1 - sum(inside) / len(inside)


def _clocks(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    """Check the cameras' times against the computer's clock, and the clock's date."""
    for camera, stamp in state.stamps.items():
        late_ms = (stamp.arrived_ns - stamp.time_ns) / 1e6
        most_ms = settings.experiment.max_age_ms
        deciding = camera == settings.deciding_camera
        whose = f"the frames of [Camera {camera}]"
        if late_ms > most_ms:
            text = f"{whose} are {late_ms:.0f} ms old when they arrive, and"
            text = f"{text} MAX_AGE_MS = {most_ms:g}: nothing would be decided"
            yield _warning(text, grave=deciding)
        elif late_ms < -AHEAD_MS:
            text = f"{whose} have times {-late_ms:.0f} ms ahead of the computer's clock"
            yield _warning(text, grave=deciding)
        elif late_ms:
            yield PreflightResult(
                f"{whose} arrive {late_ms:.1f} ms after their exposure"
            )
        else:
            yield PreflightResult(
                f"{whose} have no exposure time; their arrival time is used"
            )
    now = datetime.now().astimezone()
    finest_us = time.get_clock_info("perf_counter").resolution * 1e6
    shown = f"the computer's clock shows {now:%Y-%m-%d %H:%M:%S %z}"
    if now.year < EARLIEST_YEAR:
        yield _warning(f"{shown}: set it, because run folders are named by it")
    else:
        yield PreflightResult(f"{shown}; the resolution of times is {finest_us:.3g} µs")


def _limits(settings: Settings) -> Iterator[PreflightResult]:
    """Warn of limits of the outputs that are far above their defaults."""
    rules = settings.experiment
    lost_s, silent_s = rules.lost_ms / 1e3, rules.patience_s
    for key, seconds, cause in (
        ("LOST_MS", lost_s, "the animal is lost"),
        ("PATIENCE_S", silent_s, "the camera is silent"),
    ):
        if settings.outputs and seconds > FAR_ABOVE_S:
            yield _warning(
                f"[Experiment] {key}: outputs stay on for {seconds:g} s after {cause}; "
                "the default is 0.5 s"
            )


def _outputs(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    """Check that the outputs were opened and answer, and report the self-tests."""
    for name in settings.outputs:
        edge, answer = state.edges.get(name), state.acknowledged.get(name)
        if why := state.failed_outputs.get(name):
            yield _warning(f"[Output {name}] failed: {why}", grave=True)
        elif edge is None:
            yield _warning(f"[Output {name}] does not answer", grave=True)
        elif answer is not None:
            after_ms = (answer.acted_ns - answer.sent_ns) / 1e6
            late = f", {after_ms:.2f} ms after the command" if after_ms else ""
            yield PreflightResult(f"[Output {name}] acknowledges{late}")
        else:
            text = "was opened and switched off; it can't acknowledge"
            yield PreflightResult(f"[Output {name}] {text}")
    for test in state.self_tests:
        yield PreflightResult(
            test.text, grave=test.passed is False, good=test.passed is True
        )


def _recorders(settings: Settings, state: SessionState) -> Iterator[PreflightResult]:
    """Check that the recorders that start with the rig have answered."""
    for name, recorder in settings.remotes.items():
        if not isinstance(recorder, RemoteRecorder):
            continue
        answer = state.remotes.get(name)
        if answer is None:
            silent = f"[Remote {name}] has not answered yet"
            yield _warning(silent, grave=recorder.needed)
        elif answer.good and state.recording and not answer.recording:
            text = "does not record; stop the recording and start it again"
            yield _warning(f"[Remote {name}] {text}", grave=recorder.needed)
        elif answer.good:
            yield PreflightResult(answer.text)
        else:
            yield _warning(answer.text, grave=recorder.needed)


def _check_disk_space(
    settings: Settings, state: SessionState
) -> Iterator[PreflightResult]:
    folder = nearest_existing(state.run_folder or settings.output_directory)
    recording_options, needs = settings.recording.recording_options, ""
    if limit_s := settings.experiment.exp_time_s:
        recording_options = replace(
            recording_options, planned_s=recording_options.planned_s or limit_s
        )
    try:
        free = shutil.disk_usage(folder).free
        if settings.experiment.record_exp and not settings.recorded:
            needs = "; no camera is recorded, each has RECORD = no"
        elif settings.experiment.record_exp and not state.recording:
            formats = [state.formats[name] for name in settings.recorded]
            recording_options.check_free_disk_space(folder, formats)
            a_minute = 60 * sum(map(recording_options.bytes_per_second, formats))
            needs = (
                f"; an hour of video takes at most about {a_minute * 60 / 1e9:.1f} GB"
            )
            if not recording_options.planned_s:
                needs += "; planned duration not set (PLANNED_MINUTES)"
    except (OSError, DeviceError) as error:
        yield PreflightResult(str(error), grave=True)
    else:
        yield PreflightResult(f"{free / 1e9:.1f} GB are free in {folder}{needs}")
