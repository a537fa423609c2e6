"""Make deeplabcut2.tar.xz beside this file, where TensorFlow and tf2onnx are installed.

    python -m tests.pose.importers.foreign.make_deeplabcut2

A tiny frozen graph, with the operations, names and layout that DeepLabCut 2 exports, and
what `from_deeplabcut2.py` makes of it. DeepLabCut 2 itself was not at hand.
"""

import tempfile
from pathlib import Path

import numpy as np

from tests.pose.importers.foreign.making import exported

PARTS = ["snout", "leftear", "tailbase"]


def main() -> None:
    """Write the archive."""
    import yaml

    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "exported"
        source.mkdir()
        (source / "snapshot-10.pb").write_bytes(_frozen())
        words = {"all_joints_names": PARTS, "net_type": "resnet_50"}
        words |= {"location_refinement": True, "locref_stdev": 7.2801}
        (source / "pose_cfg.yaml").write_text(yaml.safe_dump(words), "utf-8")
        words = ("--size", "128x96")
        exported("from_deeplabcut2.py", source, "deeplabcut2", *words)


def _frozen() -> bytes:
    """Return a graph: mean taken away, stride 16 by two convolutions, heads of stride 8."""
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        scale = np.sqrt(2 / np.prod(shape[:3]))
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    with tf.Graph().as_default() as graph:
        pictures = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        x = (pictures - tf.constant([123.68, 116.779, 103.939])) / 64
        for channels, (side, step) in {16: (7, 4), 32: (5, 4)}.items():
            kernel = weights(side, side, int(x.shape[-1]), channels)
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, step, "SAME"))
        shape = tf.shape(x)
        for name, channels in (
            ("part_pred", len(PARTS)),
            ("locref_pred", 2 * len(PARTS)),
        ):
            size = tf.stack([shape[0], shape[1] * 2, shape[2] * 2, channels])
            with tf.name_scope(f"pose/{name}/block4"):
                kernel = weights(3, 3, channels, 32) * 0.3
                y = tf.nn.conv2d_transpose(x, kernel, size, 2, "SAME")
                tf.nn.bias_add(y, np.zeros(channels, np.float32), name="BiasAdd")
        return bytes(graph.as_graph_def().SerializeToString())


if __name__ == "__main__":
    main()
