"""Whether the intervals of an audit contain the truth, and whether a chosen setting holds.

Six kinds of scripted runs whose every frame is known, from a rarely visited region to errors
of seconds in the midst of steady answers. Of each kind, `--runs` runs are made; from each,
`--samples` samples are drawn and judged by the truth. Counted is how often the 95 % intervals
of precision, recall and wrong pulses per hour contain the true figures of the whole run.

In one run, errors among few clips are whole numbers, so a share of 95 % is not always possible
(for example 93 or 99 of 100, and nothing between). So the share over the runs of a kind is stated,
and the least and largest share of one run beside it.

Then a setting is searched on the judged clips of a run, and applied to another run of the same
animal and network: counted is how often a setting is found, and how often it meets the wish
there. Nothing depends on how busy the computer is.

    python benchmarks/audit.py
    python benchmarks/audit.py --quick --json it.json
    python benchmarks/audit.py --runs 0 --searches 10 --first-seed 100
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.audit.audit import open_audit
from deeplabstream.audit.estimation import estimate
from deeplabstream.audit.sampling import Decisions, decisions_of
from deeplabstream.audit.setting_search import (
    TriggerSetting,
    answers_with,
    find_setting,
)
from deeplabstream.recording.audit_files import AuditFile, AuditSample, GivenVerdict
from deeplabstream.recording.audit_results import (
    AuditResults,
    Group,
    Interval,
    Measure,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import review
from deeplabstream.settings.loading import load
from tests.audit.scripted_run import Scene, judge, record, verdict_of

SETS = {
    "usual": Scene(11, frames=20000),
    "rare visits": Scene(12, frames=30000, home=0.05),
    "half inside": Scene(13, frames=20000, home=0.7),
    "many errors": Scene(14, frames=20000, wrong_per_min=10, lost_per_min=6),
    "jitter at the border": Scene(15, frames=20000, jitter=8.0, lost_per_min=0.5),
    "long errors": Scene(16, frames=20000, wrong_per_min=2, wrong_s=(1.0, 6.0)),
}
SEEDS = 100
"""Distance of the seeds of the runs of a kind; the first has the seed of the kind."""
EVERY = 10**9
"""Number of clips of a sample that has all decisions."""
TOLERANCE = 1e-9
FIGURES: Sequence[tuple[Group, str, Measure]] = (
    ("trigger", "in", "precision"),
    ("trigger", "in", "recall"),
    ("output", "light", "wrong pulses per hour"),
)


@dataclass
class Coverage:
    """Intervals of a figure, of samples from one run."""

    truth: float
    contained: int = 0
    above: int = 0
    """Number of intervals above the truth."""
    widths: list[float] = field(default_factory=list)

    def add(self, found: Interval) -> None:
        """Count an interval."""
        self.contained += found.low - TOLERANCE <= self.truth <= found.high + TOLERANCE
        self.above += found.low - TOLERANCE > self.truth
        self.widths.append(found.high - found.low)


def figures_of(sample: AuditSample, scene: Scene) -> AuditResults:
    """Return the figures of a sample that is judged by the truth."""
    verdicts = tuple(
        GivenVerdict(clip=clip.number, rater="truth", verdict=verdict_of(clip, scene))
        for clip in sample.clips
    )
    return estimate(AuditFile(sample, verdicts))


def coverage(
    decisions: Decisions, scene: Scene, clips: int, samples: range
) -> list[Coverage]:
    """Return how often the intervals of each figure contain the truth: that of all frames."""
    census = figures_of(decisions.draw(EVERY, 0), scene)
    found = [Coverage(value_of(census, *figure)) for figure in FIGURES]
    for seed in samples:
        results = figures_of(decisions.draw(clips, seed), scene)
        for entry, figure in zip(found, FIGURES, strict=True):
            if (interval := results.find(*figure)) is not None:
                entry.add(interval)
    return found


def value_of(results: AuditResults, group: Group, name: str, measure: Measure) -> float:
    """Return a figure that is known exactly."""
    found = results.find(group, name, measure)
    if found is None or found.high - found.low > TOLERANCE:
        raise ValueError(f"{measure} of {name} is not known exactly: {found}")
    return found.value


def summary(runs: Sequence[Coverage]) -> dict[str, Any]:
    """Return the coverage of a figure over the runs of a kind."""
    samples = [len(run.widths) for run in runs]
    shares = [run.contained / count for run, count in zip(runs, samples, strict=True)]
    return {
        "truth": float(np.mean([run.truth for run in runs])),
        "contained": sum(run.contained for run in runs) / sum(samples),
        "least": min(shares),
        "most": max(shares),
        "above": sum(run.above for run in runs) / sum(samples),
        "samples": sum(samples),
        "width": float(np.mean(np.concatenate([run.widths for run in runs]))),
    }


def search(
    folder: Path, kind: Scene, seed: int, clips: int, wish: float
) -> dict[str, Any]:
    """Choose a setting on one run of a kind; return whether it holds on another."""
    scene, unseen = (
        replace(kind, seed=kind.seed + (2 * seed + at) * SEEDS) for at in range(2)
    )
    audit = open_audit(record(folder / "judged", scene), clips, seed)
    judge(audit, scene)
    choice = find_setting(audit, "in", wish)
    run = record(folder / "unseen", unseen)
    present = TriggerSetting(audit.review.folder.thresholds.usual)
    found = answers_with(
        load(run / "settings.ini"), RunFolder(run), "in", "top",
        [present, choice.setting],
    )  # fmt: skip
    before, after = (wrong_share(unseen.truth, fired) for fired in found.fired)
    recalls = [unseen.truth[fired].sum() / unseen.truth.sum() for fired in found.fired]
    return {
        "setting": str(choice.setting), "chosen": choice.meets, "meets": after <= wish,
        "wrong_before": before, "wrong": after,
        "recall_before": float(recalls[0]), "recall": float(recalls[1]),
    }  # fmt: skip


def wrong_share(truth: Any, fired: Any) -> float:
    """Return the share of true answers that are wrong; 0: there are none."""
    return 1 - float(truth[fired].mean()) if fired.any() else 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="Two sets, 10 samples")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--runs", type=int, default=10, help="Runs of each kind")
    parser.add_argument("--samples", type=int, default=400, help="Samples of each run")
    parser.add_argument("--searches", type=int, default=2, help="Searches of each kind")
    parser.add_argument("--search-frames", type=int, default=8000, help="Of each run")
    parser.add_argument("--search-clips", type=int, default=300)
    parser.add_argument(
        "--first-seed", type=int, default=0, help="Of runs, samples and searches"
    )
    parser.add_argument("--wish", type=float, default=0.01)
    parser.add_argument("--json", type=Path, help="File to write")
    options = parser.parse_args(argv)
    sets = dict(SETS)
    if options.quick:
        sets = {
            name: replace(SETS[name], frames=2000) for name in ("usual", "half inside")
        }
        options.runs, options.samples, options.searches = 1, 10, 0

    found: dict[str, Any] = {"options": vars(options), "sets": {}, "searches": {}}
    if options.runs:
        found["sets"] = all_coverages(sets, options)
    if options.searches:
        found["searches"] = all_searches(sets, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2, default=str), "utf-8")
    return 0


def all_coverages(
    sets: Mapping[str, Scene], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure and print the coverage of each kind of run."""
    print(
        f"{'set':<22}{'figure':<23}{'truth':>8}{'contained':>11}{'by run':>18}"
        f"{'above':>8}{'width':>8}"
    )
    found: dict[str, Any] = {}
    for name, kind in sets.items():
        scenes = [
            replace(kind, seed=kind.seed + (options.first_seed + at) * SEEDS)
            for at in range(options.runs)
        ]
        runs = []
        for scene in scenes:
            with TemporaryDirectory() as folder:
                decisions = decisions_of(review(record(Path(folder) / "run", scene)))
            samples = range(options.first_seed, options.first_seed + options.samples)
            runs.append(coverage(decisions, scene, options.clips, samples))
        for (_, _, measure), entries in zip(
            FIGURES, zip(*runs, strict=True), strict=True
        ):
            it = found.setdefault(name, {})[measure] = summary(entries)
            form = ".1f" if measure == "wrong pulses per hour" else ".1%"
            by_run = f"{it['least']:.0%} to {it['most']:.0%}"
            print(
                f"{name:<22}{measure:<23}{it['truth']:>8{form}}{it['contained']:>11.1%}"
                f"{by_run:>18}{it['above']:>8.1%}{it['width']:>8{form}}",
                flush=True,
            )
    return found


def all_searches(
    sets: Mapping[str, Scene], options: argparse.Namespace
) -> dict[str, Any]:
    """Search settings on runs of each kind, and print whether they hold on others."""
    found: dict[str, Any] = {}
    for name, scene in sets.items():
        kind = replace(scene, frames=options.search_frames)
        for at in range(options.searches):
            seed = options.first_seed + at
            with TemporaryDirectory() as folder:
                result = search(
                    Path(folder), kind, seed, options.search_clips, options.wish
                )
            found.setdefault(name, []).append(result)
            print(
                f"{name}: {result['setting']}"
                f"{'' if result['chosen'] else ' (nearest)'}: wrong on unseen video "
                f"{result['wrong']:.2%} (before {result['wrong_before']:.2%}), recall "
                f"{result['recall']:.0%} (before {result['recall_before']:.0%})",
                flush=True,
            )
    results = [result for kind in found.values() for result in kind]
    chosen = [result for result in results if result["chosen"]]
    meets = sum(result["meets"] for result in chosen)
    print(
        f"{len(chosen)} of {len(results)} searches chose a setting; {meets} of them meet"
    )
    return found


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
