"""Closed-loop experiments on animal posture in real time: the names for notebooks.

docs/api.md describes them. `deeplabstream/__init__.pyi` declares them: type checkers read
it, and so does this module, which imports each name when it is first used. So
`import deeplabstream` loads neither torch nor Qt.

Authors of cameras, outputs, experiments, triggers and remotes import from
`deeplabstream.plugin`. Its names can also be imported from here, as in earlier versions.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from deeplabstream.files.paths import make_plugins_importable


def _declared_modules() -> dict[str, str]:
    """Return the module of each name that the stub file declares."""
    stub = Path(__file__).with_suffix(".pyi").read_text("utf-8")
    return {
        alias.name: str(statement.module)
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


_MODULES = _declared_modules()
__all__ = sorted(_MODULES)
_RENAMED = {
    "Hear": "InputListener",
    "HearRemote": "RemoteListener",
    "InputNews": "InputChange",
    "NOTHING_YET": "NO_FRAME_YET",
    "SEED_WORDS": "SEED_DESCRIPTION",
}
"""Names of plug-in contracts in earlier versions; users' plug-ins may import them."""
make_plugins_importable()


def __getattr__(name: str) -> object:
    # Python looks up special names on every module; these must not load the plug-ins.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    module = importlib.import_module(_MODULES.get(name, "deeplabstream.plugin"))
    try:
        value: object = getattr(module, _RENAMED.get(name, name))
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
