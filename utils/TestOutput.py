"""Switch one output of settings.ini on for a moment: python utils/TestOutput.py NAME.

Prints all changes of the output and their times. Needs no camera, network or experiment. The
rig must not be running. --list names all outputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Mapping, Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.settings.validation_messages import guess
from deeplabstream.settings.loading import load
from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.checks.output_pulse import PULSE_S, OutputTestProcess
from deeplabstream.plugins.output import Output

LOOK_S = 0.05
"""How often it is looked whether the test is to end early."""


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the output was on and is off again."""
    parser = ProgramParser(prog="TestOutput.py", description=__doc__)
    parser.add_argument("name", nargs="?", help="NAME of an [Output NAME]")
    parser.add_settings()
    parser.add_argument("--list", action="store_true", help="list all outputs and exit")
    parser.add_argument("--seconds", type=float, default=PULSE_S, help="at most 5")
    parser.add_argument("--level", type=float, default=1.0, help="above 0, up to 1")
    chosen = parser.parse_args(argv)
    outputs = load(chosen.settings).outputs
    if chosen.list or chosen.name is None:
        _list(outputs)
        return 0 if chosen.list else 2
    if chosen.name not in outputs:
        raise DeviceError(
            f"no section [Output {chosen.name}]{guess(chosen.name, outputs)}"
        )
    try:
        test = OutputTestProcess(
            chosen.name, outputs[chosen.name], chosen.seconds, chosen.level
        )
    except ValueError as error:
        raise DeviceError(str(error)) from error
    return _run(test)


def _list(outputs: Mapping[str, Output]) -> None:
    for name, output in outputs.items():
        what = (type(output).__doc__ or "").splitlines()[0]
        print(f"{name}: {type(output).__name__} ({what})")
    if not outputs:
        print("the settings contain no [Output NAME]")


def _run(test: OutputTestProcess) -> int:
    began_ns: int | None = None
    seen_on = off = False
    with termination() as asked, test:
        while not test.over:
            if asked.requested:
                test.stop()
            test.rest(LOOK_S)
            for told in test.poll():
                if isinstance(told, Acknowledged):
                    print(_answer(told), flush=True)
                elif not isinstance(told, Edge):
                    print(told.text, flush=True)
                    off = off and isinstance(told, Note)  # written before it failed
                else:
                    began_ns = began_ns or told.requested_ns
                    print(_sentence(told, began_ns), flush=True)
                    seen_on |= told.level > 0
                    off = told.level == 0
    if asked.requested:
        state = "it is off" if off else "IT MAY STILL BE ON"
        print(f"{test.name}: ended early, {asked.reason}; {state}", flush=True)
        return asked.exit_code(1)
    fine = seen_on and off and not test.failed
    print(f"{test.name}: {'was on, and is off again' if fine else 'FAILED'}")
    return 0 if fine else 1


def _answer(told: Acknowledged) -> str:
    heard_ms = (told.received_ns - told.sent_ns) / 1e6
    if told.cause:
        return (
            f"             the device reports: {told.output} = {told.level:g} "
            f"({told.cause})"
        )
    return f"             acknowledged: {told.output} = {told.level:g} after {heard_ms:.3f} ms"


def _sentence(told: Edge, began_ns: int) -> str:
    after_ms = (told.written_ns - began_ns) / 1e6
    took_ms = (told.written_ns - told.requested_ns) / 1e6
    return (
        f"{after_ms:8.1f} ms  {told.output} = {told.level:g}"
        f"  ({told.cause}, written within {took_ms:.3f} ms)"
    )


if __name__ == "__main__":
    sys.exit(main())
