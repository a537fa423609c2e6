"""Command-line program: camera test, pose test, benchmark and recording test of a rig."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, error_context
from deeplabstream.engine.latency_statistics import Timings
from deeplabstream.engine.processes.termination import Termination, termination
from deeplabstream.engine.session.earlier_run import Resumption, newest_run
from deeplabstream.engine.session.frame_counting_session import FrameCountingSession
from deeplabstream.engine.session.headless import run_headless
from deeplabstream.engine.session.request_queue import RequestQueue, armed_instead
from deeplabstream.engine.session.session_state import Action
from deeplabstream.files.overwriting import check_free
from deeplabstream.plugins.camera import Camera, Device
from deeplabstream.plugins.discovery import discover, plugin_package
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    SettingsFile,
    overwrite,
    settings_file,
)
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.ready_made import load_with
from deeplabstream.settings.sections import Settings
from deeplabstream.startup.qt_environment import why_no_window

BENCHMARK_FRAMES = 3000


@program_options
class StreamOptions:
    """Options of a stream: settings, start, and end conditions."""

    dlc_enabled: bool = option(default=False)
    """Estimate poses."""
    benchmark_enabled: bool = option(
        default=False,
        description=f"estimate poses of {BENCHMARK_FRAMES} frames (or `frames`), then print "
        "statistics",
    )
    recording_enabled: bool = option(default=False)
    """Record the raw video."""
    experiment: str | None = option(default=None, without_value="", metavar="FILE")
    """Run the experiment of the settings; or that of FILE, or of that name in
    experiments/configs, on the rig of the settings. Without a window the program ends
    with the experiment. A rig that a [Remote NAME] starts is armed and waits."""
    resume: str | None = option(default=None, without_value="", metavar="RUN")
    """Continue the experiment of this run folder; without RUN, of the animal's last run in
    OUTPUT_DIRECTORY."""
    list_cameras: bool = option(default=False)
    """List the connected cameras and exit."""
    frames: int | None = option(default=None, ge=1, metavar="N")
    """Stop N frames of the deciding camera after everything that was requested runs."""
    headless: bool = option(default=False)
    """No window: run until `frames`, the end of the experiment, or Ctrl-C."""
    settings: SettingsFile = settings_file()
    json: Path | None = option(default=None, metavar="FILE")
    """Write the benchmark's statistics here."""
    overwrite: bool = overwrite()


def run_stream(options: StreamOptions) -> int:
    """Run the rig, or list the cameras; return the exit code."""
    if options.list_cameras:
        return _list_cameras()
    check_free([options.json] if options.json else [], options.overwrite)
    if options.resume is not None and options.experiment is None:
        options = replace(options, experiment="")
    return _run(load_with(options.settings, options.experiment), options)


def _run(settings: Settings, options: StreamOptions) -> int:
    """Run the rig until it is stopped, print what happened and return the exit code."""
    tried = options.experiment is not None
    posed = options.dlc_enabled or options.benchmark_enabled or tried
    frames = options.frames or (BENCHMARK_FRAMES if options.benchmark_enabled else inf)
    actions = [Action.START_STREAM]
    actions += [Action.START_RECORDING] * options.recording_enabled
    actions += [Action.START_ANALYSIS] * posed
    actions += [Action.START_EXPERIMENT] * tried

    headless = options.headless
    if not headless and (reason := why_no_window()):
        print(f"{reason} The program runs without a window.")
        headless = True
    if headless and frames == inf:
        print(_ends(settings) if tried else "Stop with Ctrl-C, or use --frames N.")

    agenda = RequestQueue(armed_instead(actions, settings))
    with (
        termination() as requests,
        FrameCountingSession(settings, frames, posed, agenda) as session,
    ):
        if options.resume is not None:
            earlier = Path(options.resume) if options.resume else newest_run(settings)
            session.resumes = Resumption(earlier)
        run = _headless if headless else _with_window
        failures = run(session, agenda, requests)
        folder = session.state.run_folder
        forms = dict(session.state.formats)

    for alarm in session.state.alarms:
        print(f"Alarm: {alarm.text}")
    for name, form in forms.items():
        print(f"camera {name}: {form}")
    if options.benchmark_enabled:
        _report(session.timings, folder, options.json)
    if folder is not None:
        print(f"run folder: {folder}")
    return requests.exit_code(1 if failures or session.state.alarms else 0, ctrl_c=0)


def _ends(settings: Settings) -> str:
    """Return a sentence: when an experiment without a window ends."""
    seconds = settings.experiment.exp_time_s
    limit = f"EXP_TIME_S = {seconds:g}" if seconds else "it has no EXP_TIME_S"
    return f"The program ends with the experiment ({limit}), or with Ctrl-C."


def _list_cameras() -> int:
    """Print every connected camera, with the settings lines that select it."""
    devices: list[Device] = []
    package = plugin_package("cameras")
    found = discover(package, Camera)  # type: ignore[type-abstract]
    for name, kind in found.classes.items():
        try:
            with error_context(f"Camera NAME, KIND = {name}"):
                devices += kind.connected_devices()
        except DeepLabStreamError as error:
            print(error)
    for device in devices:
        print(
            f"{device.label or device.kind}, serial number {device.serial or 'unknown'}"
        )
        print(f"    KIND = {device.kind}\n    {device.choose}")
        for form in device.formats:
            print(f"    delivers {form}")
    print(f"{len(devices)} cameras found")
    return 0


def _headless(
    session: FrameCountingSession, agenda: RequestQueue, requests: Termination
) -> bool:
    summary = run_headless(
        session,
        agenda,
        inf,
        lambda text: print(text, flush=True),
        stopped=lambda: session.enough,
        termination=requests,
    )
    print("\n".join(summary.lines()))
    return bool(summary.failures)


def _with_window(
    session: FrameCountingSession, agenda: RequestQueue, requests: Termination
) -> bool:
    from deeplabstream.gui.preview import preview_of, run_preview

    bridge = preview_of(session, agenda)
    bridge.failed.connect(print)
    run_preview(bridge, over=lambda: session.enough or session.failed)
    return session.failed


def _report(timings: Timings, folder: Path | None, also: Path | None) -> None:
    text = "\n".join(timings.lines())
    print(text)
    facts = json.dumps(timings.facts(), indent=2) + "\n"
    if folder is not None:
        (folder / "benchmark.txt").write_text(text + "\n", "utf-8")
        (folder / "benchmark.json").write_text(facts, "utf-8")
    if also is not None:
        also.write_text(facts, "utf-8")


PROGRAM = Program(StreamOptions, run_stream, __doc__, "DeepLabStream")
