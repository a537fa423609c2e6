"""Match the frames of a run to its exposure pulses: which pulse has no frame, and the skew.

    python utils/MatchPulses.py output/2026-11-21_10-58-55
    python utils/MatchPulses.py RUN --most-delay-ms 9

A run that was closed has the result already, in CAMERA.pulses.csv and run.json; it is shown.
With --most-delay-ms, or where a run was not closed, it is computed and written.
docs/cameras.md describes it.
"""

import json
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.exposure_pulses import (
    match_run,
    pulse_facts,
    pulse_sentences,
    write_matches,
)
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options


@program_options
class MatchPulses:
    """A run with exposure pulses, and how they are matched."""

    run: Path = option(positional=True)
    """Run folder."""
    most_delay_ms: float | None = option(default=None, gt=0, metavar="MS")
    """Longest possible time from a pulse to the time of its frame; default: that of the
    settings."""
    json: bool = option(default=False)
    """Print the summary as JSON."""
    overwrite: bool = overwrite()


def match_pulses(options: MatchPulses) -> int:
    """Return 0 when each frame has a pulse, or none for certain; 1: some are refused."""
    folder = open_run_folder(options.run, print)
    facts = validate_facts(folder.facts)[0].get("pulses")
    if not facts or options.most_delay_ms is not None:
        matches = match_run(folder, options.most_delay_ms)
        if not matches:
            raise DeviceError(
                f"{folder.path} has no exposure pulses with frames; see docs/cameras.md"
            )
        paths = {folder.matches_path(match.camera) for match in matches}
        check_free(sorted(paths), options.overwrite)
        facts = pulse_facts(folder, matches)
        write_matches(folder, matches)
        folder.update(pulses=facts)

    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print(*map(visible, pulse_sentences(facts)), sep="\n")
    return int(any(camera["refused"] for camera in facts["cameras"]))


PROGRAM = Program(MatchPulses, match_pulses, __doc__, "MatchPulses")
