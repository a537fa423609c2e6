"""`--overrides KEY=VALUE …`: single values of a YAML configuration, from the command line.

The grammar is that of Hydra, which Lightning Pose uses: `a.b=1` changes what is there, `+a.b=1`
adds, `++a.b=1` does either, `~a.b` removes; values are numbers, words, quoted text, `null`,
`[lists]` and `{maps: 1}`. Sweeps are not taken.
"""

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from deeplabstream.training.data.labels import LabelsError


def overridden(words: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `words` with the overrides applied; LabelsError names all wrong ones.

    >>> overridden({"a": {"b": 1}}, ["a.b=[2, x]", "+a.c=null", "~d.e"])
    Traceback (most recent call last):
        ...
    deeplabstream.training.data.labels.LabelsError: override ~d.e: there is no d.e to remove
    >>> overridden({"a": {"b": 1, "d": 2}}, ["a.b=[2, x]", "+a.c=null", "~a.d"])
    {'a': {'b': [2, 'x'], 'c': None}}
    """
    whole = deepcopy(dict(words))
    problems = []
    for text in overrides:
        problem = _apply(whole, text)
        if problem:
            problems.append(f"override {text}: {problem}")
    if problems:
        raise LabelsError(problems)
    return whole


def _apply(whole: dict[str, Any], text: str) -> str | None:
    """Apply one override to `whole`; return what is wrong with it, if anything is."""
    import yaml

    sign = next((s for s in ("++", "+", "~") if text.startswith(s)), "")
    key, equals, value = text.removeprefix(sign).partition("=")
    *path, last = key.strip().split(".")
    if not last or not all(path):
        return "expected KEY=VALUE"
    place: Any = whole
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
