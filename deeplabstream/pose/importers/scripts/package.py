"""Folder that every script here writes, and that utils/ImportModel.py reads.

`network.onnx`, `description.json` (inputs and outputs of the network) and
`reference.npz`: frames of several sizes, (height, width, 3), BGR, and the points that the
training program finds in them, in their pixels. It needs numpy alone, and OpenCV for
frames of a video.
"""

import json
from pathlib import Path

import numpy as np

COUNT = 12
"""Number of frames in a reference."""


def frames_of(video, sizes, whole=False):
    """Return frames (height, width, 3), BGR: original ones, as a camera gives them.

    Those of a video are spread over it: some whole, the others parts of it with other
    sides, unless `whole`. Without one, noise with shapes in it is drawn, of the given
    sizes (width, height).
    """
    if video is None:
        rng = np.random.default_rng(0)
        return [_drawn(rng, *sizes[place % len(sizes)]) for place in range(COUNT)]
    import cv2

    capture = cv2.VideoCapture(str(video))
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    selected = set(np.linspace(0, max(0, total - 1), COUNT).astype(int).tolist())
    frames, index = [], 0
    while index <= max(selected):
        success, frame = capture.read()  # read in sequence: seeking may be inexact
        if not success:
            break
        if index in selected:
            frames.append(_part(frame, 0 if whole else len(frames) % 3))
        index += 1
    if not frames:
        raise SystemExit(f"{video}: no image of it can be read")
    return frames


def following(video, size):
    """Return consecutive frames: the first of a video, or drawn ones."""
    if video is None:
        return frames_of(None, [size])
    import cv2

    capture = cv2.VideoCapture(str(video))
    frames = [capture.read() for _ in range(COUNT)]
    if not all(success for success, _ in frames):
        raise SystemExit(f"{video}: it needs {COUNT} frames or more")
    return [frame for _, frame in frames]


def _part(frame, which):
    """Return the frame, or its middle with less width, or with less height."""
    height, width = frame.shape[:2]
    wide, high = ((8, 8), (6, 8), (8, 5))[which]
    wide, high = width * wide // 8 // 32 * 32, height * high // 8 // 32 * 32
    if which == 0 or not wide or not high:
        return frame
    left, top = (width - wide) // 2, (height - high) // 2
    return np.ascontiguousarray(frame[top : top + high, left : left + wide])


def other_sizes(width, height):
    """Return sizes of frames for a network that has frames scaled to its own size."""
    return [
        (width, height),
        (5 * width // 2, 2 * height),
        (3 * width // 2, 9 * height // 4),
    ]


def native_sizes(width, height):
    """Return sizes of frames for a network that uses them unscaled."""
    shorter = [max(32, side * 3 // 4 // 32 * 32) for side in (width, height)]
    return [(width, height), (shorter[0], height), (width, shorter[1])]


def save(folder, description, reference):
    """Write the reference (frames, points and confidences), and the description.

    The description comes last: a folder that has one is whole.
    """
    save_reference(folder, *reference)
    (folder / "description.json").write_text(json.dumps(description, indent=2), "utf-8")
    if description.get("left_out"):
        print(
            f"left out, as they are no animal's: {', '.join(description['left_out'])}"
        )
    print(
        f'now, where DeepLabStream is: python utils/ImportModel.py "{folder}" --output models/NAME'
    )


def save_reference(folder, frames, points, confidences):
    """Write frames, and the points that the training program finds in them."""
    np.savez_compressed(
        folder / "reference.npz",
        points=np.asarray(points, np.float32),
        confidences=np.asarray(confidences, np.float32),
        **{f"frame{place}": frame for place, frame in enumerate(frames)},
    )


def licence_beside(source):
    """Return the licence in the README beside a network, or ''.

    Or MODELCARD.md; the licence is `license:` in its first lines, or the text under a
    heading with that word.
    """
    folder = source if source.is_dir() else source.parent
    for name in ("MODELCARD.md", "modelcard.md", "README.md"):
        try:
            lines = (folder / name).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for place, line in enumerate(lines):
            key, _, value = line.partition(":")
            if key.strip().lower() in ("license", "licence") and value.strip():
                return value.strip()
            if line.startswith("#") and "licen" in line.lower():
                return " ".join(" ".join(lines[place + 1 :]).split())[:300]
    return ""


def new_folder(path):
    """Create and return the folder; it must not contain a complete network."""
    folder = Path(path)
    if (folder / "description.json").exists():
        raise SystemExit(f"{folder} already contains a network; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def size_of(text, step=1):
    """Return width and height of a text such as 640x480, in whole steps of pixels."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise SystemExit(f"--size {text}: expected WIDTHxHEIGHT, as in 640x480")
    size = tuple(-(-int(side) // step) * step for side in (width, height))
    if 0 in size:
        raise SystemExit(f"--size {text}: {step} pixels are the minimum of both sides")
    if size != (int(width), int(height)):
        print(
            f"--size {text} becomes {size[0]}x{size[1]}: both in steps of {step} pixels"
        )
    return size


def loaded(file, trust=False):
    """Return the content of a .pt file; its code is run only if it is trusted.

    Snapshots of DeepLabCut 3.0.0 hold numpy's numbers beside the weights: these are
    numbers, too.
    """
    import pickle

    import torch

    try:
        with _numbers_of_numpy():
            return torch.load(file, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        raise SystemExit(
            f"{file} holds more than numbers, or is damaged; --trust opens it, and runs what "
            "is in it: only if it is your own"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it is empty").splitlines()[0]
        raise SystemExit(f"{file} can't be read: {reason}") from error


def _numbers_of_numpy():
    """Allow torch to load numpy numbers, which torch before 2.5 refuses.

    Files name the module of the numpy that wrote them, 1 or 2; torch before 2.6 handles
    only that of the current numpy.
    """
    import contextlib

    import torch

    try:
        from numpy._core.multiarray import scalar
    except ImportError:  # numpy 1
        from numpy.core.multiarray import scalar
    kinds = {type(np.dtype(kind)) for kind in ("f4", "f8", "i8")}
    scalars = [scalar]
    if torch.__version__ >= (2, 6):
        scalars = [
            (scalar, f"numpy.{of}.multiarray.scalar") for of in ("core", "_core")
        ]
    known = getattr(torch.serialization, "safe_globals", None)
    return known([np.dtype, *scalars, *kinds]) if known else contextlib.nullcontext()


def export(network, width, height, names, folder, any_size=False):
    """Write a torch module as ONNX, for any number of RGB images (n, 3, height, width).

    `any_size`: what it computes with their sides follows the sides of other images.
    """
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
                dynamic_axes={
                    name: {0: "n", 2: f"{name}_h", 3: f"{name}_w"}
                    if any_size
                    else {0: "n"}
                    for name in ("picture", *names)
                },
                **how,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(f"it can't be exported as ONNX: {reason}") from error


def _drawn(rng, width, height):
    rows, columns = np.mgrid[:height, :width]
    coarse = rng.integers(60, 200, (height // 16 + 1, width // 16 + 1, 3))
    image = coarse.repeat(16, 0).repeat(16, 1)[:height, :width].astype(np.uint8)
    for shade in (20, 230, 60):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        inside = ((columns - x) / width * 8) ** 2 + ((rows - y) / height * 16) ** 2
        image[inside < 1] = shade
    return image
