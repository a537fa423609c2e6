"""Rehearse an experiment with a simulated animal: an hour in seconds, without devices.

The run folder can be opened and its decisions re-run, as for any other run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Step
from deeplabstream.settings.ready_made import load_with
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.session.run_summary import without_count
from deeplabstream.recording.run_folder import RunFolder


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return 0, or 2 when something that the user can mend is wrong."""
    asked = _parser().parse_args(argv)
    settings = load_with(asked.settings, asked.experiment)
    folder, steps = rehearse(
        settings,
        asked.output,
        seconds=60 * asked.minutes,
        flees=asked.flees,
        seed=asked.seed,
        animals=asked.animals,
    )
    for line in summary(folder, steps):
        print(line)
    print(f"run folder: {folder.path}")
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(prog="RehearseExperiment.py", description=__doc__)
    add = parser.add_argument
    parser.add_settings()
    add(
        "--experiment",
        metavar="FILE",
        help=(
            "experiment of this file, or of this name in experiments/configs, on "
            "the rig of the settings"
        ),
    )
    add(
        "--minutes",
        type=_minutes,
        default=10.0,
        help="simulated duration (default: 10)",
    )
    add(
        "--flees",
        action="append",
        default=[],
        metavar="OUTPUT",
        help=(
            "the animal avoids the region while this output is on; may be given "
            "several times"
        ),
    )
    add("--seed", type=int, help="seed of the simulated walk")
    add("--animals", type=int, choices=range(1, 5), default=1, help="number of animals")
    add("--output", type=Path, metavar="FOLDER", help="new run folder")
    return parser


def _minutes(word: str) -> float:
    minutes = float(word)
    if not 0 < minutes <= 24 * 60:
        raise argparse.ArgumentTypeError("expected minutes above 0, at most 1440")
    return minutes


def summary(folder: RunFolder, steps: Sequence[Step]) -> Iterator[str]:
    """Yield what a person wants to know of a rehearsal."""
    seconds = steps[-1].exposed_ns / 1e9 if steps else 0.0
    yield f"{seconds:.1f} s of simulated time, {len(steps)} frames"
    for name in steps[0].triggers if steps else ():
        answers = Counter(step.triggers[name] for step in steps)
        share = {answer: count / len(steps) for answer, count in answers.items()}
        yield (
            f"[Trigger {name}] was true {share.get(True, 0):.1%} of the time, "
            f"unknown {share.get(None, 0):.1%}"
        )
    for name, (times, on_s) in on_times(folder, seconds).items():
        yield f"[Output {name}] was on {times} times, {on_s:.1f} s in total"
    marks = Counter(
        without_count(command.text)
        for step in steps
        for command in step.commands
        if isinstance(command, Mark)
    )
    for text, count in marks.items():
        yield f"{count} × {text!r}"


def on_times(folder: RunFolder, end_s: float) -> dict[str, tuple[int, float]]:
    """Return how often and how long (s) each output was on."""
    times: Counter[str] = Counter()
    on_s: defaultdict[str, float] = defaultdict(float)
    since: dict[str, float] = {}
    for row in folder.events():
        if row["kind"] != "edge":
            continue
        name, level, time_s = row["name"], float(row["level"]), float(row["time_s"])
        times[name] += level > 0 and name not in since
        if level > 0:
            since.setdefault(name, time_s)
        elif name in since:
            on_s[name] += time_s - since.pop(name)
    for name, time_s in since.items():
        on_s[name] += end_s - time_s
    return {name: (times[name], on_s[name]) for name in times}


if __name__ == "__main__":
    sys.exit(main())
