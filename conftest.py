"""Doctests of the product: every module that has examples runs them.

tests/conftest.py has what the tests share.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
FOR_OTHER_ENVIRONMENTS = ROOT / "deeplabstream" / "pose" / "importers" / "scripts"
"""Scripts that other programs' Python runs, with packages that are not installed here."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave product modules without examples unimported: most need large packages."""
    if collection_path.suffix != ".py" or collection_path.is_relative_to(
        ROOT / "tests"
    ):
        return None
    if collection_path.is_relative_to(FOR_OTHER_ENVIRONMENTS):
        return True
    return None if ">>> " in collection_path.read_text(encoding="utf-8") else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip examples of the public functions: they name recordings of the user.

    tests/test_docs.py checks that every name in them exists.
    """
    illustration = pytest.mark.skip(reason="names files of the user")
    for item in items:
        if isinstance(item, pytest.DoctestItem) and any(
            "dls." in example.source for example in item.dtest.examples
        ):
            item.add_marker(illustration)
