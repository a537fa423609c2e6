import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import HistogramCalibrater

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes.quantisation import Trial, check_trial
from deeplabstream.pose.runtimes.runtime_comparison import (
    Difference,
    compare,
    images_of,
    outputs,
)
from deeplabstream.pose.runtimes.runtime_list import load_network, present
from utils.BenchmarkModel import main as benchmark
from utils.QuantiseNetwork import main

_let_go = HistogramCalibrater.clear_collected_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(MODELS / "arena", tmp_path / "arena")
    return tmp_path / "arena"


def test_eight_bits_are_measured_kept_and_run(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[int] = []
    monkeypatch.setattr(
        HistogramCalibrater,
        "clear_collected_data",
        lambda them: (held.append(len(them.intermediate_outputs)), _let_go(them)),
    )
    assert main(["--model", str(folder)]) == 0
    assert set(held) == {1}  # all that a network computes of a picture: it is much
    said = json.loads((folder / "int8.json").read_text("utf-8"))
    assert "this is used" in capsys.readouterr().out
    model = load_model_folder(folder)
    assert {"cpu-int8", "openvino-int8"} <= set(present(model))
    pictures, _ = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures[1::2])
    far = compare(
        model, reference, outputs(load_network(model, "cpu-int8", 1), pictures[1::2])
    )
    assert 0 < far.p95_px == pytest.approx(said["p95_px"], abs=0.05)
    assert far.p95_px < 1
    held_by = onnx.load(folder / "network.int8.onnx").graph.initializer
    whole = [
        numpy_helper.to_array(w)
        for w in held_by
        if w.data_type == onnx.TensorProto.INT8
    ]
    largest = max(int(np.abs(weights.astype(int)).max()) for weights in whole)
    assert largest > 32 and 2 * 255 * largest < 2**15, "sums fit without VNNI"
    size = (folder / "network.int8.onnx").stat().st_size
    assert size < 0.5 * model.network.stat().st_size
    table = tmp_path / "rows.json"
    words = ["--model", str(folder), "--runtimes", "cpu-int8", "--seconds", "0.01"]
    assert benchmark([*words, "--json", str(table)]) == 0
    printed = capsys.readouterr().out
    assert "refused" in printed  # 0.02 px are allowed, unless one says so
    found = re.search(r"TOLERANCE_PX = ([\d.]+) would permit cpu-int8", printed)
    assert found is not None
    assert 0.02 < float(found[1]) <= 1
    rows = {row["runtime"]: row for row in json.loads(table.read_text("utf-8"))}
    assert not rows["cpu-int8"]["accepted"]
    assert benchmark([*words, "--tolerance", "1"]) == 0
    assert "refused" not in capsys.readouterr().out

    (folder / "network.int8.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match=r"damaged, or was made from another network"):
        load_network(model, "cpu-int8")
    (folder / "int8.json").write_text("[]", "utf-8")
    with pytest.raises(ModelError, match=r"int8\.json is missing or damaged"):
        load_network(model, "openvino-int8")


def test_what_moves_points_too_far_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(folder), "--tolerance", "0.0001"]) == 2
    assert "with 8 bits its points move too far" in capsys.readouterr().err
    assert not list(folder.glob("*int8*"))


@pytest.mark.parametrize(
    ("points", "p95", "otherwise", "says"),
    [
        (
            20,
            0.545,
            0.02,
            r"too many points change .* or one point, is allowed; .* thres",
        ),
        (20, 1.5, 0.02, r"points move too far: .* 1 px are allowed; more"),
        (0, float("nan"), 0.0, "finds no body part in these images"),
    ],
)
def test_the_reason_of_a_refusal_is_the_one_that_counted(
    points: int, p95: float, otherwise: float, says: str
) -> None:
    far = Difference(200, points, p95 / 2, p95, p95, otherwise, 1.0)
    with pytest.raises(ModelError, match=says):
        check_trial(Trial("MinMax", far), 1.0)


@pytest.mark.parametrize(
    ("compared", "differing", "agrees"),
    [(16, 0, True), (16, 1, True), (16, 2, False), (300, 3, True), (300, 4, False)],
)
def test_one_point_in_a_hundred_or_one_may_be_visible_for_one_only(
    compared: int, differing: int, agrees: bool
) -> None:
    far = Difference(compared, compared, 0.1, 0.2, 0.3, differing / compared, 0.1)
    assert far.within(1.0, own_images=True) == agrees


def test_no_pictures_and_no_video_are_sentences(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pictures.jpg").unlink()
    assert main(["--model", str(folder)]) == 2
    assert main(["--model", str(folder), "--video", str(folder / "model.json")]) == 2
    assert main(["--model", str(folder), "--pictures", str(folder)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "use --video or --pictures" in said[0]
    assert "is not a readable video" in said[-2]
    assert "no .png or .jpg" in said[-1]
