"""Write SLEAP-NN's own points as a reference beside a network that it exported.

Run where SLEAP-NN is installed, on the folder that `sleap-nn export` wrote, with the
folders of the models that it was made of:

    sleap-nn export models/mine --output exported
    python from_sleap_nn.py exported models/mine --video video.mp4

Without `--video`, frames are drawn, of `--size` and of two others; a bottom-up network
needs a video. Copy this folder of scripts to that computer; nothing else of DeepLabStream
is needed.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from package import frames_of, native_sizes, other_sizes, save_reference, size_of


def main():
    """Write `reference.npz` into the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("exported", type=Path)
    parser.add_argument(
        "models", type=Path, nargs="+", help="as sleap-nn export had them"
    )
    parser.add_argument("--video", type=Path, help="one that the network was made for")
    parser.add_argument(
        "--size", default="640x480", help="WIDTHxHEIGHT of synthetic frames"
    )
    parser.add_argument("--animals", type=int, default=0, help="the most in an image")
    options = parser.parse_args()
    metadata = options.exported / "export_metadata.json"
    if not metadata.is_file():
        sys.exit(
            f"{options.exported} is not what sleap-nn export wrote: no {metadata.name}"
        )
    exported = json.loads(metadata.read_text("utf-8"))
    if exported["model_type"] == "centered_instance":
        sys.exit(
            "a network of cropped windows can't analyse whole frames: export it with a "
            "centroid network"
        )
    if exported["model_type"] == "bottomup" and options.video is None:
        sys.exit(
            "a bottom-up network finds hundreds of peaks in synthetic frames, which decide "
            "nothing: add --video with a video that the network was made for"
        )
    most = options.animals or exported.get("max_instances") or 1
    most = 1 if exported["model_type"] == "single_instance" else most
    sizes = size_of(options.size)
    known = _limit(options.models[0])
    frames = frames_of(
        options.video,
        other_sizes(*sizes) if known else native_sizes(*sizes),
        whole=True,
    )
    found = _their_poses(options.models, frames, len(exported["node_names"]), most)
    save_reference(options.exported, frames, *found)
    where = f'"{options.exported}" --output models/NAME'
    print(f"now, where DeepLabStream is: python utils/ImportModel.py {where}")


def _limit(model):
    """Return whether frames are resized to one size."""
    from omegaconf import OmegaConf

    preprocessing = OmegaConf.load(
        model / "training_config.yaml"
    ).data_config.preprocessing
    return preprocessing.max_height is not None


def _their_poses(models, frames, parts, most):
    """Return SLEAP-NN's points (n, [animal,] part, 2) and scores; NaN: none."""
    from sleap_nn.inference.predictor import Predictor

    how = {"max_instances": most} if most > 1 else {}
    predictor = Predictor.from_model_paths([str(path) for path in models], **how)
    points = np.full((len(frames), most, parts, 2), np.nan, np.float32)
    scores = np.zeros((len(frames), most, parts), np.float32)
    for place, frame in enumerate(frames):
        rgb = np.ascontiguousarray(frame[None, ..., ::-1])
        (seen,) = predictor.predict(rgb, make_labels=False)
        own = np.asarray(seen.pred_keypoints).reshape(-1, parts, 2)[:most]
        sure = np.asarray(seen.pred_peak_values).reshape(-1, parts)[:most]
        points[place, : len(own)] = own
        scores[place, : len(own)] = np.nan_to_num(sure)
    return (points, scores) if most > 1 else (points[:, 0], scores[:, 0])


if __name__ == "__main__":
    sys.exit(main())
