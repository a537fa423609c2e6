"""Match the frames of a run to its exposure pulses: which pulse has no frame, and the skew.

    python utils/MatchPulses.py output/2026-11-21_10-58-55
    python utils/MatchPulses.py RUN --most-delay-ms 9

A run that was closed has the result already, in CAMERA.pulses.csv and run.json; it is shown.
With --most-delay-ms, or where a run was not closed, it is computed and written.
docs/cameras.md describes it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import json
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeviceError
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.recording.exposure_pulses import (
    match_run,
    pulse_facts,
    pulse_sentences,
    write_matches,
)
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_opening import open_run_folder


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when each frame has a pulse, or none for certain; 1: some are refused."""
    parser = ProgramParser(
        prog="MatchPulses.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", type=Path, help="run folder")
    add("--most-delay-ms", type=float, metavar="MS",
        help="longest possible time from a pulse to the time of its frame; "
        "default: that of the settings")  # fmt: skip
    add("--json", action="store_true", help="print the summary as JSON")
    add_overwrite(parser)
    asked = parser.parse_args(argv)
    if asked.most_delay_ms is not None and asked.most_delay_ms <= 0:
        parser.error("--most-delay-ms must be above 0")
    folder = open_run_folder(asked.run, print)
    facts = validate_facts(folder.facts)[0].get("pulses")
    if not facts or asked.most_delay_ms is not None:
        matched = match_run(folder, asked.most_delay_ms)
        if not matched:
            raise DeviceError(
                f"{folder.path} has no exposure pulses with frames; see docs/cameras.md"
            )
        paths = {folder.matches_path(each.camera) for each in matched}
        check_free(sorted(paths), asked.overwrite)
        facts = pulse_facts(folder, matched)
        write_matches(folder, matched)
        folder.update(pulses=facts)
    if asked.json:
        print(json.dumps(facts, indent=2))
    else:
        for sentence in pulse_sentences(facts):
            print(sentence)
    return int(any(each["refused"] for each in facts["cameras"]))


if __name__ == "__main__":
    sys.exit(main())
