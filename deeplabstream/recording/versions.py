"""What a run was made with."""

import platform
import sys
import tomllib
from importlib.metadata import distributions

from deeplabstream.core.paths import ROOT


def versions() -> dict[str, object]:
    """Return the versions of the application, Python, the system and all packages.

    The application's is None where its `pyproject.toml` was not copied along.
    """
    project = ROOT / "pyproject.toml"
    words = tomllib.loads(project.read_text("utf-8")) if project.is_file() else {}
    application = words.get("project", {}).get("version")
    packages = {each.name: each.version for each in distributions()}
    return {
        "application": application,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }
