"""What other programs exported, unpacked and imported once."""

import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.shared_products import shared_folder
from utils.ImportModel import main

FOREIGN = Path(__file__).parent / "foreign"


def unpack(root: Path) -> None:
    for file in FOREIGN.glob("*.tar.xz"):
        with tarfile.open(file) as archive:
            archive.extractall(root / file.name.partition(".")[0], filter="data")


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what each program exported, by name."""
    root = shared_folder(tmp_path_factory, "foreign", unpack)
    return {folder.name: folder for folder in root.iterdir()}


@pytest.fixture(scope="session")
def imported(
    unpacked: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Return what gives the model folder of a program's export, made when first asked."""

    @cache
    def folder(name: str, *words: str) -> Path:
        def make(out: Path) -> None:
            assert main([str(unpacked[name]), "--output", str(out), *words]) == 0

        return shared_folder(tmp_path_factory, "-".join((name, *words)), make)

    return folder
