"""Train a network on labelled frames and write it as a model folder.

    python utils/TrainNetwork.py --data labels/ --output models/mine

`--data` holds a `CollectedData.csv` as DeepLabCut and Lightning Pose write it, and the
pictures it names; or it is a DeepLabCut project, or a SLEAP package (`.pkg.slp`).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import math
import os
import platform
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np

from core.errors import DeepLabStreamError, ModelError
from core.pose import Skeleton
from pose.fitting import Fitting
from training.dataset import fingerprint, load_dataset, split
from training.projects import open_project


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0, or 1 after a sentence that says why not."""
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(given)
    try:
        _train(arguments, given)
    except DeepLabStreamError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        print("there is too little memory; make --batch smaller", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{arguments.output} can't be written: {error}", file=sys.stderr)
        return 1
    return 0


def _train(arguments: argparse.Namespace, given: Sequence[str]) -> None:
    labels = open_project(arguments.data, arguments.output / "labels").labels
    bones = tuple(_bone(word, labels.skeleton) for word in arguments.bones)
    bones = bones or labels.skeleton.bones
    labels = replace(labels, skeleton=replace(labels.skeleton, bones=bones))
    data = load_dataset(labels, arguments.size)
    train, held_out = split(data, arguments.held_out, arguments.seed)

    # Threads that wait by spinning slow each other down where other programs run too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from tqdm import tqdm

    from training.augmentation import Augmentation
    from training.evaluate import choose_threshold, held_out_error, summary
    from training.export import Recipe, export
    from training.fit import Epoch, fit
    from training.networks import Architecture
    from training.settings import FitSettings

    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    settings = FitSettings(
        steps=arguments.steps,
        batch=arguments.batch,
        network=Architecture(
            backbone=arguments.backbone,
            kind=arguments.kind,
            stages=arguments.stages,
            channels=arguments.channels,
            sigma=arguments.sigma,
        ),
        imagenet=not arguments.no_imagenet,
        augmentation=Augmentation(
            rotation_deg=arguments.rotation,
            mirror=not arguments.no_mirror,
            light=arguments.light,
            moved=arguments.moved,
        ),
        seed=arguments.seed,
        device=arguments.device,
    )
    print(f"{len(train)} pictures to train on, {len(held_out)} held out")
    with tqdm(total=settings.steps, unit="step", disable=arguments.quiet) as bar:

        def watch(epoch: Epoch) -> None:
            bar.set_postfix_str(f"loss {epoch.loss:.2f}", refresh=False)
            bar.update()

        network = fit(train, settings, watch)
    distance, confidence = held_out_error(network, held_out)
    threshold = choose_threshold(distance, confidence)
    errors = summary(data.skeleton, distance, confidence, threshold)
    about: dict[str, object] = {
        "command": shlex.join(["python", "utils/TrainNetwork.py", *given]),
        "network": "EfficientNet-Lite0, ImageNet weights (Apache-2.0), light head",
        "licence": arguments.licence,
        "data_sha256": fingerprint(labels),
        "pictures": {"trained_on": len(train), "held_out": len(held_out)},
        "settings": asdict(settings),
        "held_out_error": [
            {
                k: round(v, 3) if isinstance(v, float) else v
                for k, v in asdict(e).items()
            }
            for e in errors
        ],
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    recipe = Recipe(data.skeleton, data.fitting, arguments.sigma, threshold, about)
    export(network, recipe, held_out.pictures, arguments.output)
    print("error in the held-out pictures, in their pixels:")
    for error in errors:
        print(
            f"  {error.bodypart:<12} median {error.median_px:5.1f}   95 % below "
            f"{error.p95_px:5.1f}   not seen {error.below_threshold:4.0%}"
        )
    print(f"threshold {threshold:g}; written to {arguments.output}")


def _rounded(words: dict[str, object]) -> dict[str, object]:
    """Return figures that JSON can hold: short, and None for NaN."""
    short = {k: round(v, 3) if isinstance(v, float) else v for k, v in words.items()}
    return {k: None if v != v else v for k, v in short.items()}


def _bone(word: str, skeleton: Skeleton) -> tuple[str, str]:
    ends = word.split(":")
    if len(ends) != 2 or not set(ends) <= set(skeleton.bodyparts):
        known = ", ".join(skeleton.bodyparts)
        raise ModelError(f"--bones {word}: expected A:B, two of {known}")
    return ends[0], ends[1]


def _size(text: str) -> Fitting:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected WIDTHxHEIGHT")
    sides = (int(width), int(height))
    if any(side % 16 or not 32 <= side <= 2048 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}: both must be multiples of 16, from 32 to 2048"
        )
    return Fitting(height=sides[1], width=sides[0])


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r}: expected a number from {low:g} to {high:g}"
            )
        return number

    return parse


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 10**8:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="TrainNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="labelled frames: see above")
    add("--output", type=Path, required=True, help="the model folder to write")
    add("--size", type=_size, default="320x240", help="of the network's input")
    add("--steps", type=_count, default=1500, help="batches to train on")
    add("--batch", type=_count, default=8, help="pictures per step")
    add("--device", default="cpu", help="cpu or cuda")
    add("--threads", type=int, default=0, help="of the processor; 0: one per core")
    add("--seed", type=int, default=0)
    add(
        "--held-out",
        type=_number(0, 0.9),
        default=0.15,
        help="share kept back for the error",
    )
    add("--backbone", default="efficientnet_lite0", help="efficientnet_lite0, …")
    add("--kind", choices=("heatmap", "regression", "context"), default="heatmap")
    add("--stages", type=int, choices=(4, 5), default=5, help="4: smaller, faster")
    add("--channels", type=_count, default=32, help="of the head")
    add(
        "--sigma",
        type=_number(0.5, 10),
        default=1.25,
        help="of a point, in cells of 4 pixels",
    )
    add(
        "--rotation",
        type=_number(0, 180),
        default=180.0,
        help="turned up to this, degrees",
    )
    add("--no-mirror", action="store_true", help="never mirror pictures")
    add("--light", type=_number(0, 1), default=1.0, help="changes of light, 0 to 1")
    add(
        "--moved",
        type=_number(0, 1),
        default=0.0,
        help="share of pictures whose animal is cut out and put elsewhere (still camera)",
    )
    add("--bones", nargs="*", default=[], metavar="A:B", help="lines to draw")
    add("--no-imagenet", action="store_true", help="start from random weights")
    add("--licence", default="", help="of the network, written into model.json")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
