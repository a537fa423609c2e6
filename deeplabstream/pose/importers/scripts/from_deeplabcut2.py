"""Export a network of DeepLabCut 2 for utils/ImportModel.py of DeepLabStream.

First let DeepLabCut export it (`deeplabcut.export_model(config, shuffle=1)`). Then run
this where TensorFlow is installed, with `pip install tf2onnx`, on the exported folder,
which holds a frozen graph (.pb) and `pose_cfg.yaml`:

    python from_deeplabcut2.py .../exported-models/DLC_... --size 640x480 --output mine

SIZE is the size at which videos are analysed. With `--video`, the images that show the
outcome to be the same are of that video. Copy this folder of scripts to that computer;
nothing else of DeepLabStream is needed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from package import frames_of, native_sizes, new_folder, save, size_of

SCORES, OFFSETS = "part_pred/block4/BiasAdd", "locref_pred/block4/BiasAdd"
"""Suffixes of the operations that compute scores, and offsets from cells."""


def main():
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", required=True, help="WIDTHxHEIGHT of analysed frames")
    parser.add_argument("--video", type=Path, help="one that the network was made for")
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write"
    )
    options = parser.parse_args()
    graph, config, name = _read(options.source)
    width, height = size_of(options.size, 32)
    given = _only(graph, lambda node: node.op == "Placeholder", "input")
    scores = _only(graph, lambda node: node.name.endswith(SCORES), "scores")
    offsets = _only(graph, lambda node: node.name.endswith(OFFSETS), "offsets")
    frames = frames_of(options.video, native_sizes(width, height))
    folder = new_folder(options.output)

    import tf2onnx

    tf2onnx.convert.from_graph_def(
        graph,
        input_names=[given],
        output_names=[scores, offsets],
        opset=13,
        output_path=str(folder / "network.onnx"),
    )
    stride, scale = 8.0, float(config.get("locref_stdev", 7.2801))
    description = {
        "bodyparts": [str(part) for part in config["all_joints_names"]],
        "input": {
            "layout": "NHWC",
            "width": width,
            "height": height,
            "colour": "RGB",
            "mean": [0.0],
            "std": [1.0],
            "fit": "native",
        },
        "offsets": {
            "scores": scores,
            "offsets": offsets,
            "layout": "NHWC",
            "values": "logits",
            "stride": int(stride),
            "origin": stride / 2,
            "scale": scale,
        },
        "threshold": 0.6,
        "pictures": "own" if options.video else "drawn",
        "source": f"DeepLabCut 2, {config.get('net_type', '')}, {name}",
    }
    maps = _run(graph, given, (scores, offsets), frames)
    found = [_poses(*values, stride, scale) for values in maps]
    points, sure = (np.concatenate(values) for values in zip(*found, strict=True))
    save(folder, description, (frames, points, sure))
    return 0


def _read(folder):
    """Return the frozen graph, its configuration and its name."""
    import tensorflow as tf
    import yaml

    found = sorted(folder.glob("*.pb")) if folder.is_dir() else []
    if len(found) != 1:
        sys.exit(
            f"{folder}: expected one .pb file, which deeplabcut.export_model writes"
        )
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(found[0].read_bytes())
    with (folder / "pose_cfg.yaml").open(encoding="utf-8") as stream:
        config = yaml.safe_load(stream)
    if not config.get("location_refinement", True):
        sys.exit(f"{folder}: without location_refinement it can't be taken over")
    return graph, config, found[0].name


def _only(graph, matches, what):
    """Return the tensor of the only matching operation."""
    found = [node.name for node in graph.node if matches(node)]
    if len(found) != 1:
        sys.exit(
            f"the graph has {len(found)} operations that may be its {what}: {found}"
        )
    return f"{found[0]}:0"


def _run(graph, given, names, frames):
    """Return TensorFlow's outputs for each frame: (1, row, column, channel) each."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        return [
            session.run(list(names), {given: one[None, ..., ::-1].astype(np.float32)})
            for one in frames
        ]


def _poses(scores, offsets, stride, scale):
    """Return points (n, part, 2) and confidences: the highest cell, and its offset."""
    n, _, columns, parts = scores.shape
    flat = 1 / (1 + np.exp(-scores.reshape(n, -1, parts)))
    places = flat.argmax(axis=1)
    row, column = np.divmod(places, columns)
    cells = np.stack([column, row], axis=-1) * stride + stride / 2
    moved = offsets.reshape(n, -1, parts, 2)
    moved = np.take_along_axis(moved, places[:, None, :, None], axis=1)[:, 0]
    return cells + moved * scale, flat.max(axis=1)


if __name__ == "__main__":
    sys.exit(main())
