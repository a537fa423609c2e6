"""Single values of a YAML configuration: `--overrides KEY=VALUE …`, and `${…}` in the file.

The grammar is that of Hydra, which Lightning Pose uses: `a.b=1` changes what is there, `+a.b=1`
adds, `++a.b=1` does either, `~a.b` removes; values are numbers, text, quoted text, `null`,
`[lists]` and `{maps: 1}`. Sweeps are not taken. `${a.b}` stands for another value of the file,
`${LP_ROOT_PATH:}` for the folder of Lightning Pose's repository, `${oc.env:NAME}` for an
environment variable.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from deeplabstream.training.data.labels import LabelsError


def overridden(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `config` with the overrides applied; LabelsError names all wrong ones.

    >>> overridden({"a": {"b": 1}}, ["a.b=[2, x]", "+a.c=null", "~d.e"])
    Traceback (most recent call last):
        ...
    deeplabstream.training.data.labels.LabelsError: override ~d.e: there is no d.e to remove
    >>> overridden({"a": {"b": 1, "d": 2}}, ["a.b=[2, x]", "+a.c=null", "~a.d"])
    {'a': {'b': [2, 'x'], 'c': None}}
    """
    changed = deepcopy(dict(config))
    problems = []
    for text in overrides:
        problem = _apply(changed, text)
        if problem:
            problems.append(f"override {text}: {problem}")
    if problems:
        raise LabelsError(problems)
    return changed


def _apply(config: dict[str, Any], text: str) -> str | None:
    """Apply one override to `config`; return the problem, or None."""
    import yaml

    sign = next((s for s in ("++", "+", "~") if text.startswith(s)), "")
    key, equals, value = text.removeprefix(sign).partition("=")
    *path, last = key.strip().split(".")
    if not last or not all(path):
        return "expected KEY=VALUE"
    place: Any = config
    for name in path:
        if not isinstance(place, dict) or not isinstance(place.get(name, {}), dict):
            return f"{name} is not a group of settings"
        if name not in place:
            if sign in ("", "~"):
                return f"there is no {key} to {'remove' if sign else 'change'}" + (
                    _hint(key, name, place) if not sign else ""
                )
            place[name] = {}
        place = place[name]
    if sign == "~":
        if last not in place:
            return f"there is no {key} to remove"
        del place[last]
        return None
    if not equals:
        return "expected KEY=VALUE"
    if not sign and last not in place:
        return f"there is no {key} to change" + _hint(key, last, place)
    try:
        place[last] = yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError:
        return f"{value!r} can't be read as a value"
    return None


def _hint(key: str, name: str, place: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, [str(key) for key in place], 1)
    return f"; did you mean {near[0]}?" if near else f"; +{key}=… would add it"


_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_ROOT = "LP_ROOT_PATH:"


def resolved(config: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return `config` with each resolvable `${…}` replaced.

    The repository is the path in the environment variable `LP_ROOT_PATH`, or the nearest
    folder above `file` with the rest of the path.

    >>> resolved(
    ...     {"a": {"b": "/data"}, "c": "${a.b}/videos", "d": "${x}"}, Path("c.yaml")
    ... )
    {'a': {'b': '/data'}, 'c': '/data/videos', 'd': '${x}'}
    """

    def resolve(value: Any, depth: int = 0) -> Any:
        if isinstance(value, Mapping):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if not isinstance(value, str) or depth > _DEEPEST:
            return value
        # A value that is only a reference keeps the type of its target: a number, a list.
        if alone := _REFERENCE.fullmatch(value):
            found = _value(config, alone[1])
            return value if found is None else resolve(found, depth + 1)
        replaced = _REFERENCE.sub(lambda m: _text(config, file, value, m), value)
        return value if replaced == value else resolve(replaced, depth + 1)

    return {key: resolve(value) for key, value in config.items()}


_DEEPEST = 20


def _text(
    config: Mapping[str, Any], file: Path, value: str, match: re.Match[str]
) -> str:
    """Return the text that replaces a reference; the reference itself if it is unknown."""
    if match[1] == _ROOT:
        rest = value[match.end() :].lstrip("/")
        roots = [Path(own)] if (own := os.environ.get("LP_ROOT_PATH")) else []
        roots += file.resolve().parents
        root = next((root for root in roots if (root / rest).exists()), None)
        return match[0] if root is None else str(root)
    found = _value(config, match[1])
    return match[0] if found is None else str(found)


def _value(config: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key, or of an environment variable; None: there is none."""
    if key.startswith("oc.env:"):
        name, _, default = key.removeprefix("oc.env:").partition(",")
        return os.environ.get(name.strip(), default.strip() or None)
    place: Any = config
    for name in key.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]
    return place
