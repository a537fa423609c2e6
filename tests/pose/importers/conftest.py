"""What other programs exported, unpacked once."""

import tarfile
from pathlib import Path

import pytest

FOREIGN = Path(__file__).parent / "foreign"


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what each program exported, by name."""
    root = tmp_path_factory.mktemp("foreign")
    for file in FOREIGN.glob("*.tar.xz"):
        with tarfile.open(file) as archive:
            archive.extractall(root / file.name.partition(".")[0], filter="data")
    return {folder.name: folder for folder in root.iterdir()}
