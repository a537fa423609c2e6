"""Box run: runs one box of a rack, without a window, until its experiment or the rack ends."""

from collections.abc import Callable
from math import inf
from pathlib import Path

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.session.earlier_run import Resumption
from deeplabstream.engine.session.headless import run_headless
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    armed_instead,
)
from deeplabstream.files import rig_folder
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.rack.alarms.alarm_log import AlarmLogReader, alarm_log
from deeplabstream.rack.bounded_output import BoundedOutput
from deeplabstream.rack.box_input import BoxInput
from deeplabstream.rack.box_restart import Interruption, Restart, read_restart
from deeplabstream.rack.box_session import BoxSession
from deeplabstream.rack.box_status import restart_file, status_file
from deeplabstream.rack.simulated_box import simulated
from deeplabstream.settings.rack_file import RackBox

_PATIENCE_S = 30.0
"""Time in which a box that a killed rack has left behind ends."""


def run_box(
    rack: Path,
    box: RackBox,
    given: BoxInput,
    report: Callable[[str], object],
    output: BoundedOutput,
    without_devices: bool = False,
) -> int:
    """Run the experiment of a box; return the exit code, 1 after a failure or an alarm.

    `output` is the file that the box and its processes print to. `without_devices`: cameras
    and outputs are simulated.
    """
    file = status_file(rack, box.name)
    try:
        with (
            exclusive(file, _PATIENCE_S),
            rig_folder.used(box.file.resolve().parent),
        ):
            settings = box.settings()
            if without_devices:
                settings = simulated(settings)
            restart = read_restart(restart_file(rack, box.name))
            session = BoxSession(
                settings, file, restart, AlarmLogReader(alarm_log(rack))
            )
            if box.box.resume:
                session.resumes = _resumption(restart)
            return _run(session, given, report, output)
    except BeingWrittenError as error:
        raise DeviceError(
            f"[Box {box.name}] already runs: stop it, or wait until it has ended"
        ) from error


def _resumption(restart: Restart | Interruption | None) -> Resumption | None:
    """Return the run that a box continues after a restart; None: it continues none."""
    if restart is None or not restart.run_folder:
        return None
    if isinstance(restart, Interruption) and restart.is_over:
        return None
    return Resumption(Path(restart.run_folder), required=False)


def _run(
    session: BoxSession,
    given: BoxInput,
    report: Callable[[str], object],
    output: BoundedOutput,
) -> int:
    experiment = armed_instead(AGENDAS["experiment"], session.settings)
    agenda = RequestQueue(experiment)
    with termination() as requests, session:
        told = False

        def stopped() -> bool:
            nonlocal told
            output.limit()
            for text in given.take_marks():
                session.note("user", text)
            if given.stop_requested and not told:
                told = True
                session.note("rack", f"{given.reason}: everything is being stopped")
            return told

        summary = run_headless(
            session,
            agenda,
            inf,
            report,
            stopped=stopped,
            termination=requests,
            # ends a wait when a process of the box ends
            rest=session.rest,
        )
        session.report(SystemClock().now_ns(), ended=True)
    for line in summary.lines():
        report(line)
    alarms = session.state.alarms
    for alarm in alarms:
        report(f"Alarm: {alarm.text}")
    return requests.exit_code(1 if summary.failures or alarms else 0)
