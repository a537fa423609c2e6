"""What other programs exported, unpacked and imported once."""

import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from utils.ImportModel import main

FOREIGN = Path(__file__).parent / "foreign"


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what each program exported, by name."""
    root = tmp_path_factory.mktemp("foreign")
    for file in FOREIGN.glob("*.tar.xz"):
        with tarfile.open(file) as archive:
            archive.extractall(root / file.name.partition(".")[0], filter="data")
    return {folder.name: folder for folder in root.iterdir()}


@pytest.fixture(scope="session")
def imported(
    unpacked: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Return what gives the model folder of a program's export, made when first asked."""
    root = tmp_path_factory.mktemp("imported")

    @cache
    def folder(name: str, *words: str) -> Path:
        out = root / "-".join((name, *words))
        assert main([str(unpacked[name]), "--output", str(out), *words]) == 0
        return out

    return folder
