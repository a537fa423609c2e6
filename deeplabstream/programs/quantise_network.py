"""Quantise a network to 8 bits, for RUNTIME = cpu-int8 or openvino-int8.

    python utils/QuantiseNetwork.py --model models/mine --video mouse.mp4

The images must be similar to those that the network will get. They come from a video, a
folder of images, or the file `pictures.jpg` of the model folder.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError, ModelError
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import check_free
from deeplabstream.files.paths import paths_below
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.pose.runtimes.quantisation import describe_trial, quantise
from deeplabstream.pose.runtimes.quantised_network import INT8
from deeplabstream.pose.runtimes.runtime_comparison import (
    SAMPLE_IMAGES,
    images_of,
    save_images,
)
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import model, overwrite
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import open_video, sample_rows

_KEPT = 12
"""Images that go into the model folder when it has none."""


@program_options
class QuantiseNetwork:
    """A network, and sample images."""

    model: str = model()
    video: Path | None = option(default=None, title="Video", filter=VIDEO_FILTER)
    """Video like those of the rig; default: images of the network's folder."""
    pictures: Path | None = option(default=None)
    """Folder with sample images."""
    count: int = option(default=100, ge=2, le=10_000, title="Frames", advanced=True)
    """Largest number of images."""
    tolerance: float = option(
        default=1.0,
        ge=0,
        le=100,
        title="Tolerance",
        advanced=True,
        decimals=2,
        unit="px",
    )
    """Largest difference, in px of the input, of 95 % of the points."""
    overwrite: bool = overwrite()


def quantise_network(options: QuantiseNetwork) -> int:
    """Quantise the network and print how much its points change."""
    model = load_model_folder(find_model(options.model))
    check_free([model.path / INT8], options.overwrite)
    images = _images(model, options)
    trials = quantise(model, images, options.tolerance)
    if not (model.path / SAMPLE_IMAGES).is_file():
        save_images(model, images[:: max(1, len(images) // _KEPT)][:_KEPT])

    print(f"compared on {len(images) // 2} images, in px of the input:")
    best, *others = map(describe_trial, trials)
    print(f"  {best}; this is used")
    for trial in others:
        print(f"  {trial}")
    print(
        f"written to {model.path}; to measure its speed: python utils/BenchmarkModel.py"
    )
    return 0


def _images(model: ModelFolder, options: QuantiseNetwork) -> NDArray[np.uint8]:
    """Return the sample images in the size of the network's input."""
    if options.video:
        images = images_of_video(options.video, options.count)
    elif options.pictures:
        images = _images_of_folder(options.pictures, options.count)
    else:
        own, are_own = images_of(model)
        if not are_own:
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


def images_of_video(file: Path, count: int) -> Iterator[Image]:
    """Yield frames spread over a video, without those that are damaged."""
    reader = open_video(file)
    for frame in reader.images_at(sample_rows(reader, count)):
        if frame.image is not None and not frame.damaged:
            yield as_bgr(frame.image)


def _images_of_folder(folder: Path, count: int) -> Iterator[Image]:
    """Yield images spread over a folder and those in it."""
    files = [p for p in paths_below(folder) if p.suffix.lower() in (".png", ".jpg")]
    if not files:
        raise DeviceError(f"{folder} contains no .png or .jpg file")
    for place in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int):
        image = read_image(files[place])
        if image is None:
            raise DeviceError(f"{files[place]} is not an image")
        yield image


PROGRAM = Program(
    QuantiseNetwork,
    quantise_network,
    __doc__,
    "QuantiseNetwork",
    stopped="stopped; nothing was written",
)
