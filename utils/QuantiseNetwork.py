"""Quantise a network to 8 bits, for RUNTIME = cpu-int8 or openvino-int8.

    python utils/QuantiseNetwork.py --model models/mine --video mouse.mp4

The images must be similar to those that the network will get. They come from a video, a
folder of images, or the file `pictures.jpg` of the model folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeviceError, ModelError
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.files.paths import paths_below
from deeplabstream.pose.runtimes.runtime_comparison import (
    SAMPLE_IMAGES,
    images_of,
    save_images,
)
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.runtimes.quantised_network import INT8
from deeplabstream.pose.runtimes.quantisation import quantise, describe_trial
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import open_video, sample_rows

KEPT = 12
"""Images that go into the model folder when it has none."""


@ending("stopped; nothing was written")
def main(argv: Sequence[str] | None = None) -> int:
    """Quantise."""
    options = _parser().parse_args(argv)
    model = load_model_folder(find_model(options.model))
    check_free([model.path / INT8], options.overwrite)
    images = _images(model, options)
    trials = quantise(model, images, options.tolerance)
    if not (model.path / SAMPLE_IMAGES).is_file():
        save_images(model, images[:: max(1, len(images) // KEPT)][:KEPT])
    print(f"compared on {len(images) // 2} images, in px of the input:")
    for place, trial in enumerate(trials):
        print(f"  {describe_trial(trial)}{'; this is used' if place == 0 else ''}")
    print(
        f"written to {model.path}; to measure its speed: python utils/BenchmarkModel.py"
    )
    return 0


def _images(model: ModelFolder, options: argparse.Namespace) -> NDArray[np.uint8]:
    if options.video:
        images = _of_video(options.video, options.count)
    elif options.pictures:
        images = _of_folder(options.pictures, options.count)
    else:
        own, there = images_of(model)
        if not there:
            raise ModelError(
                f"{model.path} has no {SAMPLE_IMAGES}: use --video or --pictures"
            )
        return own
    fitted = []
    for image in images:
        into = np.empty((model.fitting.height, model.fitting.width, 3), np.uint8)
        model.fitting.place(image, into)
        fitted.append(into)
    return np.asarray(fitted, np.uint8)


def _of_video(file: Path, count: int) -> Iterator[Image]:
    """Yield frames spread over a video, without those that are damaged."""
    reader = open_video(file)
    for frame in reader.images_at(sample_rows(reader, count)):
        if frame.image is not None and not frame.damaged:
            yield as_bgr(frame.image)


def _of_folder(folder: Path, count: int) -> Iterator[Image]:
    """Yield images spread over a folder and those in it."""
    files = [p for p in paths_below(folder) if p.suffix.lower() in (".png", ".jpg")]
    if not files:
        raise DeviceError(f"{folder} contains no .png or .jpg file")
    for place in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int):
        image = read_image(files[place])
        if image is None:
            raise DeviceError(f"{files[place]} is not an image")
        yield image


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="QuantiseNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or its name in models/")
    add("--video", type=Path, help="video with sample frames")
    add("--pictures", type=Path, help="folder with sample images")
    add("--count", type=int, default=100, help="largest number of images")
    add(
        "--tolerance",
        type=float,
        default=1.0,
        help="largest difference, in px of the input, of 95 %% of the points",
    )
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
