"""What a run was made with."""

import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, version

from deeplabstream.core.paths import ROOT


def versions() -> dict[str, object]:
    """Return the versions of the application, Python, the system and all packages.

    The application's is None where its `pyproject.toml` was not copied along.
    """
    packages = {each.name: each.version for each in distributions()}
    return {
        "application": _application(),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def _application() -> str | None:
    """Return the version of the checkout, or of the installed package."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        words = tomllib.loads(project.read_text("utf-8"))
        return str(words["project"]["version"])
    try:
        return version("DeepLabStream")
    except PackageNotFoundError:
        return None
