"""Command-line program: camera test, pose test, benchmark and recording test of a rig."""

from deeplabstream.startup.program import ending, prepare

prepare()

# Each process of a rig imports this file again, because it is started by `spawn`. Imports
# that only the main process needs are therefore in the functions.
import multiprocessing
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from deeplabstream.engine.latency_statistics import Timings
    from deeplabstream.engine.processes.termination import Termination
    from deeplabstream.engine.session.frame_counting_session import (
        FrameCountingSession,
    )
    from deeplabstream.engine.session.request_queue import RequestQueue
    from deeplabstream.settings.loading import Settings
    from deeplabstream.startup.arguments import ProgramParser

BENCHMARK_FRAMES = 3000


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    from deeplabstream.files.overwriting import check_free
    from deeplabstream.settings.ready_made import load_with

    options = _parser().parse_args(argv)
    if options.list_cameras:
        return _list_cameras()
    check_free([options.json] if options.json else [], options.overwrite)
    return _run(load_with(options.settings, options.experiment), options)


def _parser() -> "ProgramParser":
    from deeplabstream.files.overwriting import add_overwrite
    from deeplabstream.startup.arguments import ProgramParser, at_least

    parser = ProgramParser(prog="DeepLabStream.py", description=__doc__)
    add = parser.add_argument
    add("--dlc-enabled", action="store_true", help="estimate poses")
    add(
        "--benchmark-enabled",
        action="store_true",
        help=f"estimate poses of {BENCHMARK_FRAMES} frames (or --frames), then print statistics",
    )
    add("--recording-enabled", action="store_true", help="record the raw video")
    add(
        "--experiment",
        nargs="?",
        const="",
        metavar="FILE",
        help="run the experiment of the settings; or that of FILE, or of that name in "
        "experiments/configs, on the rig of the settings. Without a window the program "
        "ends with the experiment. A rig that a [Remote NAME] starts is armed and waits",
    )
    add(
        "--list-cameras",
        action="store_true",
        help="list the connected cameras and exit",
    )
    add(
        "--frames",
        type=at_least(1),
        metavar="N",
        help="stop N frames of the deciding camera after everything that was asked for runs",
    )
    add(
        "--headless",
        action="store_true",
        help="no window: run until --frames, the end of the experiment, or Ctrl-C",
    )
    parser.add_settings()
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the benchmark's statistics here",
    )
    add_overwrite(parser)
    return parser


def _run(settings: "Settings", options: "Namespace") -> int:
    from deeplabstream.engine.processes.termination import termination
    from deeplabstream.engine.session.frame_counting_session import (
        FrameCountingSession,
    )
    from deeplabstream.engine.session.request_queue import RequestQueue, armed_instead
    from deeplabstream.engine.session.session_state import Action
    from deeplabstream.gui.qt_environment import why_no_window

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


def _ends(settings: "Settings") -> str:
    """Return a sentence: when an experiment without a window ends."""
    seconds = settings.experiment.exp_time_s
    limit = f"EXP_TIME_S = {seconds:g}" if seconds else "it has no EXP_TIME_S"
    return f"The program ends with the experiment ({limit}), or with Ctrl-C."


def _list_cameras() -> int:
    """Print every connected camera, with the settings lines that select it."""
    from deeplabstream.core.errors import DeepLabStreamError, error_context
    from deeplabstream.plugins.camera import Camera, Device
    from deeplabstream.plugins.discovery import discover, plugin_package

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
    session: "FrameCountingSession", agenda: "RequestQueue", requests: "Termination"
) -> bool:
    from deeplabstream.engine.session.headless import run_headless

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
    session: "FrameCountingSession", agenda: "RequestQueue", requests: "Termination"
) -> bool:
    from deeplabstream.gui.preview import preview_of, run_preview

    bridge = preview_of(session, agenda)
    bridge.failed.connect(print)
    run_preview(bridge, over=lambda: session.enough or session.failed)
    return session.failed


def _report(timings: "Timings", folder: Path | None, also: Path | None) -> None:
    import json

    text = "\n".join(timings.lines())
    print(text)
    facts = json.dumps(timings.facts(), indent=2) + "\n"
    if folder is not None:
        (folder / "benchmark.txt").write_text(text + "\n", "utf-8")
        (folder / "benchmark.json").write_text(facts, "utf-8")
    if also is not None:
        also.write_text(facts, "utf-8")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
