"""Measure the delay of the rig from the camera's exposure to the output, by a board's clock.

    python utils/MeasureLatency.py
    python utils/MeasureLatency.py --output laser --led-pin 13 --answer-pin 2
    python utils/MeasureLatency.py --screen 0
    python utils/MeasureLatency.py --screen 1 --photodiode-pin 3 --output laser

A board with our firmware lights an LED in the camera's view at random phases. The rig answers
with its output, which is wired to an input of the board. The OUTPUT IS SWITCHED ON with every
flash: take the animal out, and block the laser. The rig must not be running.

With --screen a patch on a monitor flashes in place of the LED. Without --output that measures
half the loop, to the decision: no output is switched, and no board is needed. A photodiode on
the patch tells when it was lit.

The result is kept in the folder latency/ beside settings.ini; every later run names it.
"""

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.processes.termination import termination
from deeplabstream.latency_test.led_rig import Wiring, wiring_of
from deeplabstream.latency_test.measurement import (
    EVERY_S,
    LEAST_FLASHES,
    run_latency_test,
)
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, option_fields, program_options


@program_options
class MeasureLatency(Wiring):
    """The wiring, and how many flashes are measured."""

    flashes: int = option(
        default=LEAST_FLASHES, ge=20, le=10_000, title="Flashes", advanced=True
    )
    """Flashes that count."""
    every: float = option(
        default=EVERY_S,
        ge=0.2,
        le=10,
        title="Interval",
        metavar="SECONDS",
        advanced=True,
        decimals=1,
        unit="s",
    )
    """Mean interval of the flashes in s; the delay must be less than half of it."""
    no_network: bool = option(default=False, title="Without the network", advanced=True)
    """Measure without the network: the LED detector alone."""
    settings: SettingsFile = settings_file(title="Settings", advanced=True)
    yes: bool = option(
        default=False, title="Animal is out, output is harmless", needed=True
    )
    """Switch the output on with every flash, without a question before."""


def measure_latency(options: MeasureLatency) -> int:
    """Measure the delay and save it; return 1 if the user did not agree."""
    rig = load(options.settings)
    chosen = Wiring(**{name: getattr(options, name) for name in option_fields(Wiring)})
    wiring = wiring_of(rig, chosen)
    if not (options.yes or _agreed(wiring)):
        print("Nothing was switched on.")
        return 1

    with termination() as ending:
        try:
            result = run_latency_test(
                rig,
                wiring,
                options.flashes,
                not options.no_network,
                options.every,
                lambda text: print(text, flush=True),
                lambda: ending.requested,
            )
        except DeviceError as error:
            if not ending.requested:
                raise
            print(f"{error}: {ending.reason}", flush=True)
            return ending.exit_code(1)
    print(*result.lines(), *result.sentences(), sep="\n")
    print(f"written: {result.save(rig.folder)}")
    return 0


def _agreed(wiring: Wiring) -> bool:
    """Return whether the user agrees to what will be switched."""
    if wiring.half:
        print(
            f"{wiring.flash_place} will flash once or twice a second. No output is "
            "switched: this measures half the loop, to the decision."
        )
    else:
        print(
            f"[Output {wiring.output}] will be switched on with each flash of "
            f"{wiring.flash_place}, and read back at pin {wiring.answer_pin} of the board "
            f"at {wiring.port}. Take the animal out and make it harmless."
        )
    try:
        return input("Start? (yes/no) ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


PROGRAM = Program(MeasureLatency, measure_latency, __doc__, "MeasureLatency")
