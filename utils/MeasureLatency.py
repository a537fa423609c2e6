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

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence
from dataclasses import fields

from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.core.errors import DeviceError
from deeplabstream.latency_test.measurement import (
    EVERY_S,
    LEAST_FLASHES,
    run_latency_test,
)
from deeplabstream.latency_test.led_rig import Wiring, wiring_of
from deeplabstream.engine.processes.termination import termination
from deeplabstream.settings.loading import load


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the delay was measured."""
    chosen = _parser().parse_args(argv)
    rig = load(chosen.settings)
    names = [field.name for field in fields(Wiring) if hasattr(chosen, field.name)]
    wiring = wiring_of(rig, Wiring(**{name: getattr(chosen, name) for name in names}))
    if not (chosen.yes or _agreed(wiring)):
        print("Nothing was switched on.")
        return 1
    with termination() as asked:
        try:
            result = run_latency_test(
                rig,
                wiring,
                chosen.flashes,
                not chosen.no_network,
                chosen.every,
                lambda text: print(text, flush=True),
                lambda: asked.requested,
            )
        except DeviceError as error:
            if not asked.requested:
                raise
            print(f"{error}: {asked.reason}", flush=True)
            return asked.exit_code(1)
    print(*result.lines(), sep="\n")
    print(f"written: {result.save(rig.folder)}")
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="MeasureLatency.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_settings()
    parser.add_argument(
        "--output", default="", metavar="NAME",
        help="output that is measured; with --screen: none if left out",
    )  # fmt: skip
    parser.add_argument(
        "--port",
        default="",
        help="serial port of the board (default: that of the settings)",
    )
    parser.add_argument("--led-pin", type=int, default=13, help="default: 13")
    parser.add_argument(
        "--answer-pin", type=int, default=2, metavar="PIN",
        help="input of the board to which the output is wired (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--active-low", action="store_true", help="its line is low while it is on"
    )
    parser.add_argument(
        "--screen", type=at_least(0), metavar="NUMBER",
        help="a patch on this monitor flashes in place of the LED; 0: the main one",
    )  # fmt: skip
    parser.add_argument(
        "--full-screen", action="store_true", help="the patch covers the monitor "
        "(default: 400 x 400 pixels in its top left corner)",
    )  # fmt: skip
    parser.add_argument(
        "--photodiode-pin", type=int, default=0, metavar="PIN",
        help="input of the board with a photodiode on the patch (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--flashes", type=at_least(20), default=LEAST_FLASHES, help="default: 200"
    )
    parser.add_argument(
        "--every", type=at_least(0.2, float), default=EVERY_S, metavar="SECONDS",
        help="mean interval of the flashes; the delay must be less than half of it "
        f"(default: {EVERY_S:g})",
    )  # fmt: skip
    parser.add_argument(
        "--no-network", action="store_true", help="measure without the network"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before the output is switched on"
    )
    return parser


def _agreed(wiring: Wiring) -> bool:
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


if __name__ == "__main__":
    sys.exit(main())
