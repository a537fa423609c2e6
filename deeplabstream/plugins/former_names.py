"""Names of earlier versions of the plug-in contract, and their present names.

A plug-in of a user that still has one of them is refused with a sentence that names both.
Methods of a contract are in its `former_methods`; this file has the rest.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

FORMER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "Hear": "InputListener",
        "HearRemote": "RemoteListener",
        "InputNews": "InputChange",
        "NOTHING_YET": "NO_FRAME_YET",
        "SEED_WORDS": "SEED_DESCRIPTION",
        "heard_ns": "received_ns",
    }
)
"""Classes, constants and arguments; none is a name that a plug-in has for something else."""
FORMER_WRITE_METHODS: Mapping[str, str] = MappingProxyType(
    {"beat": "heartbeat", "hear": "on_report", "tell": "send_event"}
)
"""Methods of the object that an output yields."""
_ANY = re.compile(rf"\b({'|'.join([*FORMER_NAMES, *FORMER_WRITE_METHODS])})\b")


def outdated_names(path: Path) -> tuple[str, ...]:
    """Return a sentence for each former name in a plug-in file.

    A file that cannot be read or parsed has none: importing it reports the error.
    """
    try:
        state = path.stat()
    except OSError:
        return ()
    return _outdated_names(path, state.st_mtime_ns, state.st_size)


# Cached: the window reads the settings, and so all plug-in folders, at every change of
# a field.
@lru_cache(maxsize=1000)
def _outdated_names(path: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        # Most files have none of these names, and parsing is slow
        nodes = [*ast.walk(ast.parse(text))] if _ANY.search(text) else []
    except (OSError, ValueError, SyntaxError):
        return ()

    former = dict(FORMER_NAMES)
    if "AcknowledgingWrite" in text:
        # an attribute of AcknowledgingWrite
        former["hear"] = FORMER_WRITE_METHODS["hear"]
    uses = [use for node in nodes for use in _used_names(node) if use[0] in former]
    former |= FORMER_WRITE_METHODS
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            uses += _former_write_methods(node)
    return tuple(f"line {line}: {name} is {former[name]} now" for name, line in uses)


def _used_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    match node:
        case ast.alias(name=str(name)) | ast.Attribute(attr=name):
            yield name, node.lineno
        case ast.keyword(arg=str(name)):
            yield name, node.lineno


def _former_write_methods(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """Yield the former methods of a class whose objects are called with a level."""
    methods = {
        item.name: item.lineno
        for item in node.body
        if isinstance(item, ast.FunctionDef)
    }
    if "__call__" in methods:
        yield from ((n, methods[n]) for n in FORMER_WRITE_METHODS if n in methods)
