"""MNN's converter finds no file on Windows whose path has letters beyond ASCII."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.runtimes.mnn_runtime import _convert


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    lab = tmp_path / "Łódź"
    lab.mkdir()
    (lab / "network.onnx").write_bytes(b"a network")
    return lab / "network.onnx", lab / "0123.mnn"


def test_the_converter_is_told_plain_names_only(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, file = places

    def converter(words: list[str], cwd: Path, **_: Any) -> SimpleNamespace:
        *_rest, original, made = words
        assert original.isascii()
        assert made.isascii()
        (cwd / made).write_bytes(b"converted " + (cwd / original).read_bytes())
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", converter)
    _convert(network, file)
    assert file.read_bytes() == b"converted a network"
    assert sorted(file.parent.iterdir()) == [file, network]


def test_what_the_converter_says_is_told_whatever_letters_it_has(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, file = places
    monkeypatch.setattr(
        "deeplabstream.pose.runtimes.mnn_runtime._CONVERT", "print('Łódź'); exit(1)"
    )
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.setenv("PYTHONUTF8", "0")
    with pytest.raises(ModelError, match="Łódź"):
        _convert(network, file)
    assert [*file.parent.iterdir()] == [network]
