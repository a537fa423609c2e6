"""Whether the intervals of an audit contain the truth, and whether a chosen setting holds.

Five scripted runs whose every frame is known, from a rarely visited region to a network that
errs ten times a minute. Of each, 100 samples are drawn and judged by the truth; counted is how
often the 95 % interval contains precision and recall of the whole run. With 100 samples, a
right method gives 91 to 99 (95 % of the time).

Then a setting is searched on the judged clips of a run, and applied to another run of the same
animal and network: counted is how often a setting is found, and how often it meets the wish
there. Nothing depends on how busy the computer is.

    python benchmarks/audit.py
    python benchmarks/audit.py --quick --json it.json
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.audit.audit import open_audit
from deeplabstream.audit.estimation import estimate
from deeplabstream.audit.sampling import draw_sample
from deeplabstream.audit.setting_search import (
    TriggerSetting,
    answers_with,
    find_setting,
)
from deeplabstream.recording.audit_files import AuditFile, GivenVerdict
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import Review, review
from deeplabstream.settings.loading import load
from tests.audit.scripted_run import Scene, judge, record, true_shares, verdict_of

SETS = {
    "usual": Scene(11, frames=20000),
    "rare visits": Scene(12, frames=30000, home=0.05),
    "half inside": Scene(13, frames=20000, home=0.7),
    "many errors": Scene(14, frames=20000, wrong_per_min=10, lost_per_min=6),
    "jitter at the border": Scene(15, frames=20000, jitter=8.0, lost_per_min=0.5),
}
SEARCHED = Scene(0, frames=12000, jitter=1.0, wrong_per_min=12)


def coverage(run: Review, scene: Scene, clips: int, samples: int) -> dict[str, Any]:
    """Return how often the intervals of samples contain the true shares."""
    truth = dict(
        zip(("precision", "recall"), true_shares(run.folder.path, scene), strict=True)
    )
    held = dict.fromkeys(truth, 0)
    widths: dict[str, list[float]] = {name: [] for name in truth}
    for seed in range(samples):
        sample = draw_sample(run, clips, seed)
        verdicts = tuple(
            GivenVerdict(clip=c.number, rater="truth", verdict=verdict_of(c, scene))
            for c in sample.clips
        )
        results = estimate(AuditFile(sample, verdicts))
        for name, value in truth.items():
            found = results.find("trigger", "in", name)  # type: ignore[arg-type]
            if found is None:
                continue
            held[name] += found.low <= value <= found.high
            widths[name].append(found.high - found.low)
    return {
        name: {
            "truth": round(value, 4),
            "contained": held[name],
            "of": samples,
            "width": round(float(np.mean(widths[name])), 3),
        }
        for name, value in truth.items()
    }


def search(folder: Path, seed: int, clips: int, wish: float) -> dict[str, Any]:
    """Choose a setting on one run; return whether it holds on another."""
    scene, unseen = (
        replace(SEARCHED, seed=2 * seed),
        replace(SEARCHED, seed=2 * seed + 1),
    )
    audit = open_audit(record(folder / f"{seed} judged", scene), clips, seed)
    judge(audit, scene)
    choice = find_setting(audit, "in", wish)
    run = record(folder / f"{seed} unseen", unseen)
    present = TriggerSetting(audit.review.folder.thresholds.usual)
    found = answers_with(
        load(run / "settings.ini"), RunFolder(run), "in", "top",
        [present, choice.setting],
    )  # fmt: skip
    before, after = (1 - float(unseen.truth[fired].mean()) for fired in found.fired)
    recall = float(unseen.truth[found.fired[1]].sum() / unseen.truth.sum())
    return {
        "setting": str(choice.setting), "chosen": choice.meets, "wrong_before": before,
        "wrong": after, "meets": after <= wish, "recall": recall,
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="Two sets, 10 samples")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--search-clips", type=int, default=300)
    parser.add_argument("--wish", type=float, default=0.01)
    parser.add_argument("--json", type=Path, help="File to write")
    options = parser.parse_args(argv)
    sets = dict(SETS)
    samples, searches = options.samples, options.searches
    if options.quick:
        sets = {
            name: replace(SETS[name], frames=2000) for name in ("usual", "half inside")
        }
        samples, searches = 10, 0

    found: dict[str, Any] = {"clips": options.clips, "sets": {}, "searches": []}
    with TemporaryDirectory() as folder:
        print(f"{'set':<22}{'figure':<11}{'truth':>8}{'contained':>14}{'width':>8}")
        for name, scene in sets.items():
            run = review(record(Path(folder) / name, scene))
            figures = coverage(run, scene, options.clips, samples)
            found["sets"][name] = figures
            for figure, it in figures.items():
                of = f"{it['contained']} of {it['of']}"
                print(
                    f"{name:<22}{figure:<11}{it['truth']:>8.1%}{of:>14}{it['width']:>8.1%}",
                    flush=True,
                )
        for seed in range(searches):
            result = search(Path(folder), seed, options.search_clips, options.wish)
            found["searches"].append(result)
            print(
                f"search {seed + 1}: {result['setting']}"
                f"{'' if result['chosen'] else ' (nearest)'}: wrong on unseen video "
                f"{result['wrong']:.2%} (before {result['wrong_before']:.2%}), recall "
                f"{result['recall']:.0%}",
                flush=True,
            )
    if searches:
        chosen = [result for result in found["searches"] if result["chosen"]]
        meets = sum(result["meets"] for result in chosen)
        print(
            f"{len(chosen)} of {searches} searches chose a setting; {meets} of them meet"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
