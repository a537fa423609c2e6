"""The folder that every script here writes, and that utils/ImportModel.py takes.

`network.onnx`, `description.json` (what the network wants and gives) and `reference.npz`:
pictures (n, height, width, 3), BGR, and where the program that trained the network sees
the body parts in them. It needs numpy alone, and OpenCV for pictures of a video.
"""

import json
from pathlib import Path

import numpy as np

COUNT = 12
"""Pictures that go into a reference."""


def pictures_of(video, width, height):
    """Return pictures (n, height, width, 3), BGR.

    Those of a video are spread over it, shrunk to fit, and grey where they do not cover
    the network's input; without one, noise with shapes in it is drawn.
    """
    if video is None:
        return _drawn(width, height)
    import cv2

    film = cv2.VideoCapture(str(video))
    total = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    pictures = []
    for index in np.linspace(0, max(0, total - 1), COUNT).astype(int):
        film.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        there, frame = film.read()
        if there:
            scale = min(height / frame.shape[0], width / frame.shape[1])
            size = [max(1, round(side * scale)) for side in frame.shape[1::-1]]
            blank = np.full((height, width, 3), 127, np.uint8)
            shrunk = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            blank[: size[1], : size[0]] = shrunk
            pictures.append(blank)
    if not pictures:
        raise SystemExit(f"{video}: no picture of it can be read")
    return np.stack(pictures)


def save(folder, words, reference):
    """Write the reference (pictures, points and confidences), and the description.

    The description comes last: a folder that has one is whole.
    """
    pictures, points, confidences = reference
    np.savez_compressed(
        folder / "reference.npz",
        pictures=np.asarray(pictures, np.uint8),
        points=np.asarray(points, np.float32),
        confidences=np.asarray(confidences, np.float32),
    )
    (folder / "description.json").write_text(json.dumps(words, indent=2), "utf-8")
    if words.get("left_out"):
        print(f"left out, as they are no animal's: {', '.join(words['left_out'])}")
    print(
        f'now, where DeepLabStream is: python utils/ImportModel.py "{folder}" --output models/NAME'
    )


def new_folder(path):
    """Return the folder, made; it must not hold a whole network already."""
    folder = Path(path)
    if (folder / "description.json").exists():
        raise SystemExit(f"{folder} holds a network already; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def size_of(words, step=1):
    """Return width and height of words such as 640x480, in whole steps of pixels."""
    width, _, height = words.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise SystemExit(f"--size {words}: expected WIDTHxHEIGHT, as in 640x480")
    size = int(width) // step * step, int(height) // step * step
    if 0 in size:
        raise SystemExit(f"--size {words}: {step} pixels are the least of both sides")
    if size != (int(width), int(height)):
        print(
            f"--size {words} becomes {size[0]}x{size[1]}: both in steps of {step} pixels"
        )
    return size


def loaded(file, trust=False):
    """Return what a .pt file holds; nothing in it is run unless it is trusted."""
    import pickle

    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        raise SystemExit(
            f"{file} holds more than numbers, or is damaged; --trust opens it, and runs what "
            "is in it: only if it is your own"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it is empty").splitlines()[0]
        raise SystemExit(f"{file} can't be read: {reason}") from error


def export(network, width, height, names, folder):
    """Write a torch module as ONNX, for any number of RGB pictures (n, 3, height, width)."""
    import inspect
    import warnings

    import torch

    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise SystemExit("onnx is needed here: pip install onnx") from error
    how = {"opset_version": 17, "input_names": ["picture"], "output_names": names}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        how["dynamo"] = False
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                (torch.zeros(1, 3, height, width),),
                str(folder / "network.onnx"),
                dynamic_axes={name: {0: "n"} for name in ("picture", *names)},
                **how,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(f"it can't be exported as ONNX: {reason}") from error


def _drawn(width, height):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    pictures = []
    for _ in range(COUNT):
        coarse = rng.integers(60, 200, (height // 16 + 1, width // 16 + 1, 3))
        picture = coarse.repeat(16, 0).repeat(16, 1)[:height, :width].astype(np.uint8)
        for shade in (20, 230, 60):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            inside = ((columns - x) / width * 8) ** 2 + ((rows - y) / height * 16) ** 2
            picture[inside < 1] = shade
        pictures.append(picture)
    return np.stack(pictures)
