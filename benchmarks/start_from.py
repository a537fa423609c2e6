"""Errors of networks that start from another network, beside starting from ImageNet.

Both learn from the same few labelled frames, with the settings that TrainNetwork chooses for
each. Test frames are never trained on, and nothing is chosen on them:

openfield     test: the last 18 of 90 frames of its one clip; start: the bundled `arena`, which
              was trained on drawn mice
mirror-mouse  test: the last 20 of 72 frames of its one clip; start: the bundled `openfield`,
              another mouse, seen from above
lips          test: 8 whole clips; labelled frames: 10 clips; start: a network that this program
              trains on the other 12 clips, which has the same body parts
simulated     (--quick) drawn mice; start: `arena`

    python benchmarks/start_from.py --json start_from.json

The data sets lie in folders of these names below `--data`. An error is the median distance to
the label in px of the original images; the table has its mean over the seeds.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.pose.image_fitting import Fitting

COUNTS = (5, 10, 20, 40)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZES = {"openfield": (96, 128), "mirror-mouse": (128, 128), "lips": (96, 128)}
"""Height and width of the input."""
TURNS = {"openfield": (180, True), "mirror-mouse": (15, False), "lips": (15, True)}
"""Rotation and mirroring that TrainNetwork derives from all labels."""
BUNDLED = {"openfield": "arena", "mirror-mouse": "openfield", "simulated": "arena"}
START_STEPS = 200
"""Steps in which the start network of lips is trained."""


@dataclass(frozen=True, slots=True)
class Case:
    """A data set, split."""

    name: str
    data: Any
    pool: Sequence[int]
    """Images of which some are labelled."""
    test: Sequence[int]
    start: Path
    turns: tuple[float, bool]


def case_of(name: str, folder: Path, made: Path) -> Case:
    """Return a data set with its split and its start network."""
    from deeplabstream.pose.model.model_opening import find_model
    from deeplabstream.training.data.dataset import load_dataset
    from deeplabstream.training.data.projects import open_project

    if name == "simulated":
        from benchmarks.support.drawn import dataset

        data = dataset(16)
        start = find_model(BUNDLED[name])
        return Case(name, data, range(8), range(8, 16), start, (180, True))
    labels = open_project(folder / name, made / "labels").labels
    data, turns = load_dataset(labels, Fitting(*SIZES[name])), TURNS[name]
    order = sorted(range(len(data)), key=lambda n: labels.names[n])
    if name in BUNDLED:
        test = order[{"openfield": -18, "mirror-mouse": -20}[name] :]
        pool = [place for place in order if place not in test]
        return Case(name, data, pool, test, find_model(BUNDLED[name]), turns)
    clips = np.random.default_rng(0).permutation(sorted({*data.clips})).tolist()
    of = [[n for n in order if data.clips[n] in some]
          for some in (clips[:8], clips[8:18], clips[18:])]  # fmt: skip
    case = Case(name, data, of[1], of[0], made / "lips", turns)
    train_start(case, of[2])
    return case


def train_start(case: Case, places: Sequence[int]) -> None:
    """Train the network to start from on other images of the data set."""
    import torch

    from deeplabstream.training.data.animal_targets import training_decoder
    from deeplabstream.training.fit import fit
    from deeplabstream.training.model_export import ModelMetadata, export
    from deeplabstream.training.start_network import WEIGHTS

    settings = replace(settings_of(case, 0, START_STEPS), seed=100)
    network = fit(case.data.pick(places), settings, lambda epoch: None)
    said = {"network": asdict(settings.network), "loss": settings.loss}
    decoder = training_decoder(case.data, settings.network)
    metadata = ModelMetadata(
        case.data.skeleton, case.data.fitting, decoder, 0.5, {"settings": said}
    )
    export(network, metadata, case.data.images[:8], case.start)
    torch.save(network.state_dict(), case.start / WEIGHTS)


def settings_of(case: Case, seed: int, steps: int) -> Any:
    """Return the settings of TrainNetwork."""
    from deeplabstream.training.data.augmentation import Augmentation
    from deeplabstream.training.fit_settings import FitSettings

    turns, mirror = case.turns
    changes = Augmentation(rotation_deg=turns, mirror=mirror)
    return FitSettings(steps=steps, seed=seed, augmentation=changes)


def error_of(case: Case, count: int, seed: int, steps: int, started: bool) -> float:
    """Train on `count` frames; return the median error in the test frames, px."""
    from deeplabstream.training.data.animal_targets import training_decoder
    from deeplabstream.training.evaluation.evaluate import held_out_error
    from deeplabstream.training.fit import fit
    from deeplabstream.training.networks.pose_network import build_network
    from deeplabstream.training.start_network import open_start, take_over

    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(case.pool))[:count].tolist())
    settings = settings_of(case, seed, steps)
    if started:
        start, skeleton = open_start(case.start), case.data.skeleton
        how = start.how_with(skeleton.bodyparts)
        trial = build_network(len(skeleton.bodyparts), how)
        schedule = take_over(trial, skeleton, start).schedule(steps)
        settings = replace(
            settings, network=how, start_from=case.start, schedule=schedule
        )
    data = case.data.pick([case.pool[place] for place in chosen])
    network = fit(data, settings, lambda epoch: None)
    decoder = training_decoder(case.data, settings.network)
    away = held_out_error(network, case.data.pick(case.test), decoder).distance
    return float(np.nanmedian(away))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return means over the seeds, with the range of the seeds."""
    lines = [f"{'set':<13}{'frames':>7}{'ImageNet':>24}{'started':>24}  (px)"]
    for name, count in dict.fromkeys((row["set"], row["frames"]) for row in rows):
        cells = []
        for started in (False, True):
            px = [
                row["error_px"]
                for row in rows
                if (row["set"], row["frames"], row["started"]) == (name, count, started)
            ]
            cells.append(
                f"{np.mean(px):.1f} ({min(px):.1f} to {max(px):.1f})" if px else "-"
            )
        lines.append(f"{name:<13}{count:>7}{cells[0]:>24}{cells[1]:>24}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="one training each, of drawn frames")
    add("--data", type=Path, default=SHARED, help="folder with the data sets")
    add("--sets", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    add("--frames", nargs="+", type=int, default=COUNTS, help="labelled frames")
    add("--seeds", type=int, default=3)
    add("--steps", type=int, default=80, help="of each training")
    add("--threads", type=int, default=1)
    add("--json", type=Path, help="write each error there, as soon as it is known")
    chosen = parser.parse_args(argv)
    if chosen.quick:
        chosen.sets, chosen.frames, chosen.seeds, chosen.steps = (
            ["simulated"],
            [4],
            1,
            2,
        )
    import torch

    torch.set_num_threads(chosen.threads)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as made:
        cases = [case_of(name, chosen.data, Path(made)) for name in chosen.sets]
        cells = [
            (case, seed, count, started)
            for seed in range(chosen.seeds)
            for case in cases
            for count in chosen.frames
            for started in (False, True)
        ]
        for case, seed, count, started in cells:
            began = time.perf_counter()
            error = error_of(case, count, seed, chosen.steps, started)
            row = {"set": case.name, "frames": count, "seed": seed, "started": started}
            spent = round(time.perf_counter() - began, 1)
            rows.append({**row, "error_px": round(error, 2), "seconds": spent})
            if chosen.json:
                chosen.json.write_text(json.dumps(rows, indent=1), "utf-8")
    print(f"{chosen.steps} steps, {chosen.seeds} seeds")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
