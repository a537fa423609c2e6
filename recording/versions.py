"""What a run was made with."""

import platform
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path


def versions() -> dict[str, object]:
    """Return the versions of the application, Python, the system and all packages."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    application = tomllib.loads(project.read_text("utf-8"))["project"]["version"]
    packages = {each.name: each.version for each in distributions()}
    return {
        "application": application,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }
