"""Folders of the program itself."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The package `deeplabstream`."""


def _root() -> Path:
    checkout = PACKAGE.parent
    return checkout if (checkout / "cameras").is_dir() else PACKAGE / "rig"


ROOT = _root()
"""What comes with the program: settings.ini, plug-in folders, models, configurations.

It is the checkout, or the folder `rig` of an installed package.
"""
