"""Rehearsal summary: triggers, outputs and marks of a rehearsed experiment, as sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.replay.rehearsal import failure
from deeplabstream.engine.session.run_summary import without_count
from deeplabstream.recording.run_folder import RunFolder


def summary(folder: RunFolder, steps: Sequence[Step]) -> Iterator[str]:
    """Yield sentences on the triggers, outputs and marks of a rehearsal."""
    seconds = steps[-1].exposed_ns / 1e9 if steps else 0.0
    yield f"{seconds:.1f} s of simulated time, {len(steps)} frames"
    if failed := failure(folder):
        yield f"experiment {failed}"
    for name in steps[0].triggers if steps else ():
        answers = Counter(step.answers[name] for step in steps)
        share = {answer: count / len(steps) for answer, count in answers.items()}
        yield (
            f"[Trigger {name}] was true {share.get(True, 0):.1%} of the time, "
            f"unknown {share.get(None, 0):.1%}"
        )
    for name, (times, on_s) in on_times(folder, seconds).items():
        yield f"[Output {name}] was on {times} times, {on_s:.1f} s in total"
    marks = Counter(
        without_count(command.text, step.answers)
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
