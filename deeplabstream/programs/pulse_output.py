"""Switch one output of settings.ini on for a moment: python utils/TestOutput.py NAME.

Prints all changes of the output and their times. Needs no camera, network or experiment. The
rig must not be running. --list names all outputs.
"""

from collections.abc import Mapping

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.engine.checks.output_pulse import (
    LONGEST_S,
    PULSE_S,
    OutputTestProcess,
)
from deeplabstream.engine.processes.termination import termination
from deeplabstream.plugins.output import Output
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.validation_messages import guess

POLL_S = 0.05
"""Interval at which requests to end the test are read."""


@program_options
class PulseOutput:
    """An output of the settings, and its pulse."""

    name: str = option(default="", positional=True)
    """NAME of an [Output NAME]."""
    settings: SettingsFile = settings_file()
    list: bool = option(default=False)
    """List all outputs and exit."""
    seconds: float = option(default=PULSE_S, gt=0, le=LONGEST_S)
    """Duration, up to 5 s."""
    level: float = option(default=1.0, gt=0, le=1)
    """Level of the output, above 0, up to 1."""


def pulse_output(options: PulseOutput) -> int:
    """Return 0 when the output was on and is off again."""
    outputs = load(options.settings).outputs
    if options.list or not options.name:
        _list(outputs)
        return 0 if options.list else 2
    if options.name not in outputs:
        raise DeviceError(
            f"no section [Output {options.name}]{guess(options.name, outputs)}"
        )
    output = outputs[options.name]
    return _run(OutputTestProcess(options.name, output, options.seconds, options.level))


def _list(outputs: Mapping[str, Output]) -> None:
    for name, output in outputs.items():
        about = (type(output).__doc__ or "").splitlines()[0]
        print(f"{name}: {type(output).__name__} ({about})")
    if not outputs:
        print("the settings contain no [Output NAME]")


def _run(test: OutputTestProcess) -> int:
    start_ns: int | None = None
    was_on = is_off = False
    with termination() as request, test:
        while not test.over:
            if request.requested:
                test.stop()
            test.rest(POLL_S)
            for entry in test.poll():
                match entry:
                    case Acknowledged():
                        text = _acknowledgement(entry)
                    case Edge():
                        start_ns = start_ns or entry.requested_ns
                        text = _edge(entry, start_ns)
                        was_on |= entry.level > 0
                        is_off = entry.level == 0
                    case _:
                        text = entry.text
                        # after a failure the written level is not certain
                        is_off = is_off and isinstance(entry, Note)
                print(text, flush=True)

    if request.requested:
        state = "it is off" if is_off else "IT MAY STILL BE ON"
        print(f"{test.name}: ended early, {request.reason}; {state}", flush=True)
        return request.exit_code(1)
    passed = was_on and is_off and not test.failed
    print(f"{test.name}: {'was on, and is off again' if passed else 'FAILED'}")
    return 0 if passed else 1


def _acknowledgement(entry: Acknowledged) -> str:
    level = f"{entry.output} = {entry.level:g}"
    if entry.cause:
        return f"             the device reports: {level} ({entry.cause})"
    delay_ms = (entry.received_ns - entry.sent_ns) / 1e6
    return f"             acknowledged: {level} after {delay_ms:.3f} ms"


def _edge(edge: Edge, start_ns: int) -> str:
    after_ms = (edge.written_ns - start_ns) / 1e6
    write_ms = (edge.written_ns - edge.requested_ns) / 1e6
    return (
        f"{after_ms:8.1f} ms  {edge.output} = {edge.level:g}"
        f"  ({edge.cause}, written within {write_ms:.3f} ms)"
    )


PROGRAM = Program(PulseOutput, pulse_output, __doc__, "TestOutput")
