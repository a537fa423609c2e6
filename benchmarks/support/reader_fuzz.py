"""Damaged files of other programs: each reader returns, or raises one error with a sentence.

Small valid files are damaged at random, in ways that follow from a seed: label tables (CSV,
HDF5), configurations, SLEAP's files, tables of boxes, model.json, descriptions, networks,
calibrations of cameras, recordings that runs are aligned with.
Anything but a `DeepLabStreamError` is a fault; so are a crash and a reader that does not end.

    python benchmarks/support/reader_fuzz.py --count 20000 --seed 1
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import random
import re
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from benchmarks.support.file_damage import (
    damaged_bytes,
    damaged_table,
    damaged_text,
    damaged_values,
    read_damaged_hdf5,
)
from benchmarks.support.recording_fuzz import RECORDINGS
from deeplabstream.core.errors import DeepLabStreamError

PATIENCE_S = 120.0
"""A reader that takes longer for a small file does not end."""
_PIECE = 1000
"""Files that one process reads."""
_MEMORY = 16 * 2**30
"""Address space of the process that reads."""
TryOne = Callable[[random.Random], object]
"""Damages a file and reads it; the exit code of a program, or anything else."""


def _images(folder: Path, names: Sequence[str]) -> None:
    import cv2

    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((30, 40, 3), np.uint8))


LABELS = (
    "scorer,me,me,me,me\nbodyparts,a,a,b,b\ncoords,x,y,x,y\n"
    "clip/1.png,1,2,3,4\nclip/2.png,5,6,,\nclip/3.png,7.5,8,9,10\n"
)
ANIMALS = (
    "scorer,me,me,me,me\nindividuals,one,one,two,two\nbodyparts,a,a,a,a\ncoords,x,y,x,y\n"
    "clip/1.png,1,2,3,4\nclip/2.png,5,6,,\n"
)


def label_csv(folder: Path) -> TryOne:
    """Read label tables of one animal and of several, and the label book of the window."""
    from deeplabstream.training.data.label_book import open_book
    from deeplabstream.training.data.label_folder import EDGES_FILE, PROPOSALS
    from deeplabstream.training.data.labels import read_labels

    _images(folder / "labeled-data", ())
    _images(folder, [f"clip/{n}.png" for n in (1, 2, 3)])
    file = folder / "CollectedData.csv"

    def one(rng: random.Random) -> object:
        text = damaged_table(rng.choice([LABELS, ANIMALS]), rng)
        content = text.encode("utf-8", "replace")
        file.write_bytes(damaged_bytes(content, rng) if rng.random() < 0.1 else content)
        if rng.random() < 0.7:
            return read_labels(folder, several=True)
        waiting = folder / rng.choice([PROPOSALS, EDGES_FILE])
        waiting.write_bytes(file.read_bytes())
        if rng.random() < 0.5:
            file.write_text(LABELS, "utf-8")
        try:
            return open_book(folder)
        finally:
            waiting.unlink()

    return one


def label_h5(folder: Path) -> TryOne:
    """Read label tables as pandas writes them, in both of its layouts."""
    import pandas as pd

    from deeplabstream.training.data.labels import read_labels

    _images(folder, [f"clip/{n}.png" for n in (1, 2)])
    columns = pd.MultiIndex.from_product([["me"], ["a", "b"], ["x", "y"]])
    columns.names = ["scorer", "bodyparts", "coords"]
    table = pd.DataFrame(
        [[1.0, 2, 3, 4], [5, 6, np.nan, np.nan]], columns=columns, dtype=float
    )
    table.index = pd.Index(["clip/1.png", "clip/2.png"])
    whole = []
    for layout in ("fixed", "table"):
        file = folder / f"{layout}.h5"
        table.to_hdf(file, key="df_with_missing", mode="w", format=layout)
        whole.append(file)
    used = folder / "CollectedData.h5"

    def one(rng: random.Random) -> object:
        return read_damaged_hdf5(
            rng.choice(whole), used, rng, lambda: read_labels(used)
        )

    return one


def slp(folder: Path) -> TryOne:
    """Read SLEAP's packages of one and two animals, and labels beside a video."""
    from deeplabstream.training.data.projects import open_project
    from tests.cameras.videos import write_video
    from tests.training.foreign_projects import sleap, sleap_of

    write_video(folder / "clip.mkv", 12)
    whole = [
        sleap(folder / "1.pkg.slp"),
        sleap(folder / "2.pkg.slp", animals=2),
        sleap_of(folder / "3.slp", filename="clip.mkv"),
    ]
    used = folder / "used.slp"

    def one(rng: random.Random) -> object:
        unpacked = folder / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        return read_damaged_hdf5(
            rng.choice(whole), used, rng,
            lambda: open_project(used, unpacked, several=True),
        )  # fmt: skip

    return one


POSE_CONFIG = """data:
  image_resize_dims: {height: 128, width: 128}
  data_dir: .
  video_dir: videos
  csv_file: CollectedData.csv
  num_keypoints: 2
  keypoint_names: [snout, tail]
  columns_for_singleview_pca: [0, 1]
training:
  train_batch_size: 8
  max_epochs: 3
  optimizer_params: {learning_rate: 0.001}
model:
  losses_to_use: []
  backbone: resnet18
  backbone_pretrained: false
  model_type: heatmap
  model_name: test
"""


def project_yaml(folder: Path) -> TryOne:
    """Read configurations of DeepLabCut projects, as labels and as a label book."""
    from deeplabstream.training.data.label_book import open_book
    from deeplabstream.training.data.projects import open_project
    from tests.training.foreign_projects import deeplabcut

    text = (deeplabcut(folder) / "config.yaml").read_text("utf-8")

    def one(rng: random.Random) -> object:
        _write_yaml(folder / "config.yaml", text, rng)
        if rng.random() < 0.3:
            return open_book(folder)
        place = rng.choice([folder, folder / "config.yaml", folder / "labeled-data/a"])
        return open_project(place, folder, several=True)

    return one


def pose_yaml(folder: Path) -> TryOne:
    """Read configurations of Lightning Pose."""
    from deeplabstream.training.data.projects import pose_config_at
    from deeplabstream.training.lightning_pose.project import read_pose_project

    file = folder / "config.yaml"

    def one(rng: random.Random) -> object:
        _write_yaml(file, POSE_CONFIG, rng)
        pose_config_at(folder, folders=True)
        project = read_pose_project(file)
        return project.fitting(), project.settings(10), project.videos()

    return one


def _write_yaml(file: Path, text: str, rng: random.Random) -> None:
    import yaml

    if rng.random() < 0.5:
        words = damaged_values(yaml.safe_load(text), rng)
        text = yaml.safe_dump(words, allow_unicode=True)
    else:
        text = damaged_text(text, rng)
    content = text.encode("utf-8", "replace")
    file.write_bytes(damaged_bytes(content, rng) if rng.random() < 0.05 else content)


def boxes_csv(folder: Path) -> TryOne:
    """Give CropFrames tables of points, boxes and labels."""
    from utils import CropFrames

    _images(folder, [f"clip/{n}.png" for n in (1, 2, 3)])
    points, boxes = folder / "points.csv", folder / "boxes.csv"
    table = ",x,y,h,w\nclip/1.png,0,0,8,8\nclip/2.png,1,2,8,8\nclip/3.png,3,3,8,8\n"

    def one(rng: random.Random) -> object:
        which = rng.random() < 0.5
        points.write_text(damaged_table(LABELS, rng) if which else LABELS, "utf-8")
        boxes.write_text(table if which else damaged_table(table, rng), "utf-8")
        words = rng.choice(
            [
                ["boxes", points, "--output", folder / "out"],
                ["crop", points, "--boxes", boxes, "--output", folder / "out"],
                ["remap", points, boxes],
            ]
        )
        return CropFrames.main([*map(str, words), "--overwrite"])

    return one


DESCRIBED = {
    "bodyparts": ["a", "b"],
    "edges": [["a", "b"]],
    "input": {"width": 32, "height": 32, "mean": [0.0], "std": [255.0]},
    "heatmaps": {"output": "y", "stride": 4, "sigma": 1.25},
    "threshold": 0.5,
}


def _network(file: Path) -> bytes:
    """Write a network that gives two maps of 8x8 cells; return the file's content."""
    import onnx
    from onnx import helper, numpy_helper

    weights = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3, 1, 1)
    nodes = [
        helper.make_node(
            "AveragePool", ["x"], ["p"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("Conv", ["p", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    value, kind = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("x", kind, ["n", 3, 32, 32])],
        [value("y", kind, ["n", 2, 8, 8])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    content = bytes(model.SerializeToString())
    file.write_bytes(content)
    return content


def damaged_network(content: bytes, rng: random.Random) -> bytes:
    """Return an ONNX file with other bytes, or a valid one with other content."""
    import onnx

    if rng.random() < 0.3:
        return damaged_bytes(content, rng)
    model = onnx.load_from_string(content)
    graph = model.graph
    for _ in range(rng.randint(1, 2)):
        node = rng.choice(graph.node)
        value = rng.choice([*graph.input, *graph.output]).type.tensor_type
        match rng.choice(
            ["shape", "shape", "rank", "kind", "node", "name", "number", "weight"]
        ):
            case "shape" if value.shape.dim:
                rng.choice(value.shape.dim).dim_value = rng.choice(
                    [0, 1, 2, 7, 2**40, -1]
                )
            case "rank":
                value.shape.dim.add().dim_value = 3
            case "kind":
                value.elem_type = rng.randrange(18)
            case "node":
                node.op_type = rng.choice(
                    ["Relu", "Conv", "Resize", "Loop", "Nothing", ""]
                )
            case "name" if node.input:
                node.input[0] = rng.choice(["x", "y", "w", "", "nothing"])
            case "number" if node.attribute:
                rng.choice(node.attribute).ints[:] = rng.choices([0, 1, -1, 2**31], k=2)
            case "weight":
                rng.choice(graph.initializer).dims[:] = rng.choices(
                    [0, 1, 2, 2**33], k=4
                )
    return bytes(model.SerializeToString())


def imported_onnx(folder: Path) -> TryOne:
    """Give ImportModel networks and their descriptions."""
    from utils import ImportModel

    whole = _network(folder / "network.onnx")
    file, words = folder / "network.onnx", folder / "words.json"

    def one(rng: random.Random) -> object:
        which = rng.random() < 0.6
        file.write_bytes(damaged_network(whole, rng) if which else whole)
        said = DESCRIBED if which else damaged_values(DESCRIBED, rng)
        text = json.dumps(said)
        if not which and rng.random() < 0.2:
            text = damaged_text(text, rng)
        words.write_text(text, "utf-8")
        shutil.rmtree(folder / "out", ignore_errors=True)
        given = [file, "--description", words, "--output", folder / "out"]
        return ImportModel.main([*map(str, given)])

    return one


def model_json(folder: Path) -> TryOne:
    """Open model folders, and estimate the pose of a frame."""
    from deeplabstream.pose.model.model_folder import load_model_folder, network_hash
    from deeplabstream.pose.model.model_opening import opened
    from utils import ImportModel

    whole = _network(folder / "network.onnx")
    (folder / "words.json").write_text(json.dumps(DESCRIBED), "utf-8")
    model = folder / "model"
    given = [folder / "network.onnx", "--description", folder / "words.json"]
    with _silent():
        ImportModel.main([*map(str, given), "--output", str(model)])
    held = json.loads((model / "model.json").read_text("utf-8"))
    whole = (model / "network.onnx").read_bytes()
    image = np.zeros((40, 50, 3), np.uint8)

    def one(rng: random.Random) -> object:
        words, network = held, whole
        if rng.random() < 0.7:
            words = damaged_values(held, rng)
        else:
            network = damaged_network(whole, rng)
        (model / "network.onnx").write_bytes(network)
        if network is not whole:
            words = {**held, "sha256": network_hash(model / "network.onnx")}
        text = json.dumps(words)
        (model / "model.json").write_text(
            damaged_text(text, rng)
            if network is whole and rng.random() < 0.2
            else text,
            "utf-8",
        )
        return opened(load_model_folder(model), "cpu", 1).estimate([image])

    return one


def _damaged_number(text: str, rng: random.Random) -> str:
    """Return a text with another value in place of one of its numbers."""
    number = rng.choice([*re.finditer(r"-?\d+(?:\.\d+(?:e[-+]\d+)?)?", text)])
    values = ["0", "-1", "1e5", "1e308", "-1e-308", "1e999", "nan", ".nan", "inf", "x"]
    return f"{text[: number.start()]}{rng.choice(values)}{text[number.end() :]}"


def calibrations(folder: Path) -> TryOne:
    """Read calibrations of cameras in each format."""
    from deeplabstream.recording.calibrations.calibration_file import (
        FOLDERS,
        WRITERS,
        read_calibration,
    )
    from tests.space.cameras import four_cameras

    files = {}
    # MATLAB's files are read in a process of their own, which takes a second.
    for kind in ("aniposelib", "opencv", "jarvis"):
        path = folder / kind
        if kind not in FOLDERS:
            path = path / "calibration.toml"
        WRITERS[kind](four_cameras(), path)
        files[kind] = path / "left.yaml" if kind in FOLDERS else path
    whole = {kind: file.read_bytes() for kind, file in files.items()}

    def one(rng: random.Random) -> object:
        kind = rng.choice([k for k in files if k != "label3d"])
        file, content = files[kind], whole[kind]
        try:
            if rng.random() < 0.1:
                file.write_bytes(damaged_bytes(content, rng))
            else:
                damage = rng.choice([_damaged_number, damaged_text])
                text = damage(content.decode(), rng)
                file.write_text(text, "utf-8", errors="replace")
            return read_calibration(file)
        finally:
            file.write_bytes(content)

    return one


KINDS: dict[str, tuple[Callable[[Path], TryOne], float]] = {
    "label table (.csv)": (label_csv, 0.2),
    "label table (.h5)": (label_h5, 0.15),
    "SLEAP (.slp)": (slp, 0.15),
    "DeepLabCut (config.yaml)": (project_yaml, 0.15),
    "Lightning Pose (config.yaml)": (pose_yaml, 0.15),
    "boxes and points (.csv)": (boxes_csv, 0.08),
    "imported network": (imported_onnx, 0.06),
    "model folder": (model_json, 0.06),
    "calibration of cameras": (calibrations, 0.1),
    **{kind: (maker, 0.05) for kind, maker in RECORDINGS.items()},
}
"""What is damaged and read, and how often, as a share of the count that is asked for."""


@dataclass
class Fuzzed:
    """What became of the damaged files of one kind."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    """One of our errors, with a sentence."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Seed, and the traceback, `crashed`, or `did not end`."""


def try_kind(kind: str, seeds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Damage and read a file for each seed; yield `read`, `refused` or `fault`, and the text."""
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as name,
        _silent(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", RuntimeWarning)  # of numbers that overflow
        one = KINDS[kind][0](Path(name))
        for seed in seeds:
            try:
                done = one(random.Random(seed))
            except DeepLabStreamError as error:
                yield ("refused" if str(error).strip() else "fault"), str(error)
            except Exception:  # what this program looks for
                yield "fault", traceback.format_exc()
            else:
                yield ("refused" if done == 2 else "read"), ""


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    ours = io.StringIO()
    with contextlib.redirect_stdout(ours), contextlib.redirect_stderr(ours):
        yield


def _work(kind: str, seeds: Sequence[str], pipe: Connection) -> None:
    """Read in a process of its own, with limited memory."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for outcome in try_kind(kind, seeds):
        pipe.send(outcome)
    pipe.close()


def fuzz_readers(
    count: int,
    seed: int,
    say: Callable[[str], object] = lambda line: None,
    kinds: Sequence[str] = tuple(KINDS),
    results: dict[str, Fuzzed] | None = None,
    keep: Callable[[], object] = lambda: None,
) -> dict[str, Fuzzed]:
    """Damage and read files, `count` of all kinds; return what became of them, by kind.

    Files that `results` counts are not read again; the others are added to it, and `keep`
    is called now and then. Readers run in processes of their own: one that crashes or does
    not end is a fault, and the next process goes on after it.
    """
    spawn = multiprocessing.get_context("spawn")
    results = {} if results is None else results
    for kind in kinds:
        share = KINDS[kind][1]
        own = results.setdefault(kind, Fuzzed())
        seeds = [f"{seed} {n}" for n in range(max(1, round(count * share)))]
        while own.tried < len(seeds):
            ours, theirs = spawn.Pipe(duplex=False)
            left = seeds[own.tried : own.tried + _PIECE]
            worker = spawn.Process(target=_work, args=(kind, left, theirs))
            worker.start()
            theirs.close()
            ended = _listen(ours, own, left)
            if ended != "done":
                own.faults.append((seeds[own.tried], ended))
                own.tried += 1
                worker.kill()
            worker.join()
            ours.close()
            keep()
        say(
            f"{kind}: {own.tried} tried, {own.read} read, {own.refused} refused, "
            f"{len(own.faults)} faults"
        )
    return results


def _listen(pipe: Connection, own: Fuzzed, seeds: Sequence[str]) -> str:
    """Count what a process sends; return `done`, or how it failed."""
    for seed in seeds:
        if not pipe.poll(PATIENCE_S):
            return "did not end"
        try:
            outcome, text = pipe.recv()
        except EOFError:
            return "crashed"
        own.tried += 1
        own.read += outcome == "read"
        own.refused += outcome == "refused"
        if outcome == "fault":
            own.faults.append((seed, text))
    return "done"


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table and each fault once; return 1 when there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    results = fuzz_readers(
        asked.count, asked.seed, lambda line: print(line, flush=True)
    )
    for kind, own in results.items():
        places = Counter(_place(text) for _, text in own.faults)
        for place, times in places.most_common():
            seed, text = next(each for each in own.faults if _place(each[1]) == place)
            print(f"\n{kind}, seed {seed!r}, {times} times like this:\n{text}")
    return int(any(own.faults for own in results.values()))


def _place(text: str) -> str:
    """Return where a traceback ends: the same fault has the same place."""
    lines = [line for line in text.splitlines() if line.startswith("  File ")]
    ours = [line for line in lines if str(ROOT) in line and "reader_fuzz" not in line]
    return ours[-1] if ours else text[-100:]


if __name__ == "__main__":
    sys.exit(main())
