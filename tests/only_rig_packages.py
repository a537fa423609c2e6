"""Refuse imports of packages that requirements.txt does not install: run before a program.

    python -m tests.only_rig_packages utils/AnalyseRuns.py RUN --table all.xlsx

A test runs programs so, in an environment that has more than `make run` installs.
"""

import re
import runpy
import sys
import tomllib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def rig_packages() -> set[str]:
    """Return the distributions that requirements.txt installs, with those that they need."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return with_needed([line for line in text.splitlines() if "==" in line])


def core_packages() -> set[str]:
    """Return the distributions of the package without extras, with those that they need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return with_needed(list(project["project"]["dependencies"]))


def with_needed(waiting: list[str]) -> set[str]:
    """Return the installed distributions of some requirements, and what they need."""
    installed = {normalized(one.metadata["Name"]): one for one in distributions()}
    found: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = normalized(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate(
            {"extra": ""}
        )
        if applies and name in installed and name not in found:
            found.add(name)
            waiting += installed[name].requires or ()
    return found


def refused_modules(allowed: set[str]) -> set[str]:
    """Return the modules of all other distributions."""
    return {
        module
        for module, names in packages_distributions().items()
        if not {normalized(name) for name in names} & allowed
    }


class RigPathFinder(PathFinder):
    """Finds the modules of a rig only, as if no others were installed."""

    refused: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return what Python itself finds; None for a module that a rig does not have."""
        if fullname.partition(".")[0] in cls.refused:
            return None
        return super().find_spec(fullname, path, target)


def hide_all_but(allowed: set[str]) -> None:
    """Let Python find the modules of these distributions only."""
    RigPathFinder.refused = frozenset(refused_modules(allowed))
    sys.meta_path[sys.meta_path.index(PathFinder)] = RigPathFinder


if __name__ == "__main__":
    hide_all_but(rig_packages())
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
