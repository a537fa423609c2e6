"""The table of GPU figures in docs/models.md, filled with made-up measurements."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu_table
from benchmarks.gpu_table import BEGIN, END, Figures, filled, forward_ms, main
from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes.runtime_list import load_network
from tests.offline.films import write_film

CARD = "NVIDIA Made-up 5000"


def figures(gpu: str = CARD, runtime: str = "cuda", p50_ms: float = 1.5) -> Figures:
    return Figures(gpu, runtime, p50_ms, 1.9, 1.3, 3000, 4000, 2800, "2026-11-22, none")


def rows(text: str) -> list[str]:
    table = text.partition(BEGIN)[2].partition(END)[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_the_document_has_a_place_for_the_figures_and_keeps_the_rest() -> None:
    text = gpu_table.DOCS.read_text("utf-8")
    full = filled(text, [figures(), figures(runtime="tensorrt", p50_ms=2.5)])
    assert [row.split(" | ")[1] for row in rows(full)[-2:]] == ["`cuda`", "`tensorrt`"]
    assert full.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert full.partition(END)[2] == text.partition(END)[2]


def test_rows_of_the_same_gpu_are_replaced_and_those_of_others_stay() -> None:
    text = filled(f"a\n{BEGIN}\n{END}\nb\n", [figures(), figures(runtime="tensorrt")])
    text = filled(text, [figures("NVIDIA Other")])
    text = filled(text, [figures(p50_ms=1.4)])
    other, ours = rows(text)
    assert other.startswith("| NVIDIA Other | `cuda` | 1.50")
    assert ours.startswith(f"| {CARD} | `cuda` | 1.40")
    assert text == filled(text, [figures(p50_ms=1.4)])


def test_a_row_says_which_targets_were_missed() -> None:
    met = figures(p50_ms=1.5)
    assert (met.of_forward, met.share) == (pytest.approx(1.5 / 1.3), 2800 / 3000)
    assert " | met | " in met.row()
    slow = Figures(CARD, "cuda", 2.5, 3, 1.0, 3000, 4000, 2000, "today")
    assert slow.missed() == ["2 ms", "1.2 × forward", "90% offline"]


@pytest.mark.parametrize("text", ["", BEGIN, f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_its_markers_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="once"):
        filled(text, [figures()])


def test_without_a_gpu_one_sentence_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_table, "nvidia_gpu_name", str)
    for words in (["--probe"], []):
        assert main(words) == 2
        (told,) = capsys.readouterr().out.splitlines()
        assert told == gpu_table.NO_GPU


def test_the_figures_of_each_runtime_go_into_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(_model: object, _video: object, runtime: str, *_: object) -> Figures:
        if runtime == "tensorrt":
            raise ModelError("its libraries are missing")
        return figures(runtime=runtime)

    monkeypatch.setattr(gpu_table, "nvidia_gpu_name", lambda: CARD)
    monkeypatch.setattr(gpu_table, "random_network", lambda *_: None)
    monkeypatch.setattr(gpu_table, "film", lambda *_: None)
    monkeypatch.setattr(gpu_table, "measured", measured)
    docs = tmp_path / "models.md"
    docs.write_text(f"{BEGIN}\n{END}\n", "utf-8")
    assert main(["--docs", str(docs), "--json", str(tmp_path / "gpu.json")]) == 0
    found = [row.split(" | ")[1] for row in rows(docs.read_text("utf-8"))]
    assert found == ["`cuda`"]
    assert "tensorrt: its libraries are missing" in capsys.readouterr().out


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return load_model_folder(MODELS / "arena")


def test_the_forward_pass_is_measured_with_its_memory_bound(model: ModelFolder) -> None:
    """On the CPU, which stands for the GPU: the calls are the same."""
    pictures = np.zeros((1, model.fitting.height, model.fitting.width, 3), np.uint8)
    taken = forward_ms(load_network(model, "cpu"), pictures, 0.0)
    assert len(taken) == 3
    assert (taken > 0).all()


def test_a_runtime_is_measured_live_and_offline(
    model: ModelFolder, tmp_path: Path
) -> None:
    video = write_film(tmp_path / "film.mp4", frames=20)
    found = gpu_table.measured(model, video, "cpu", 0.02, "a CPU")
    assert found.forward_ms > 0
    assert 0 < found.p50_ms <= found.p99_ms
    assert min(found.decoding_fps, found.forward_fps, found.predict_fps) > 0
    assert "ONNX Runtime" in found.measured
