"""List the language inside the code: docstrings, comments and identifiers, with file and line.

    python tools/language_inside.py                      faults of the whole product
    python tools/language_inside.py deeplabstream/gui    of some files or folders

A fault is a phrase that standard technical English does not use, or an identifier that names
no operation and no thing of the field. tests/test_sentences.py fails for each of them.
"""

import argparse
import ast
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.list_sentences import PRODUCT, Sentence, product_files  # noqa: E402

IDENTIFIERS: Mapping[str, str] = MappingProxyType(
    {
        "told": "reported, alarms, problems, notified",
        "tell": "report, notify, write",
        "tells": "reports",
        "asked": "requested, arguments, options",
        "ask": "evaluate, request, query",
        "asks": "requests",
        "said": "output, printed, message",
        "say": "messages, report",
        "says": "states, reports",
        "hear": "receive, poll",
        "heard": "received",
        "hears": "receives",
        "forget": "reset, discard",
        "forgets": "resets",
        "forgotten": "discarded",
        "words": "arguments, tokens, text",
        "each": "the name of the element: camera, row, path",
        "wanted": "requested, expected, selected",
        "there": "present, exists, found_at",
        "beat": "heartbeat",
        "beats": "heartbeats",
        "doubt": "ambiguity",
        "doubts": "ambiguities",
        "doubted": "ambiguous",
        "doubtful": "ambiguous",
        "exchanged": "swapped",
        "mend": "fix, repair",
        "mended": "fixed, repaired",
        "film": "stream, recording",
        "picture": "image, frame",
        "pictures": "images, frames",
        "bones": "edges",
        "looks": "appearance, checks",
        "yardsticks": "limits, references",
        "untold": "unreported",
        "obey": "apply",
    }
)
"""Parts of identifiers that are not used, and what to write instead."""
FIELDS_OF_FILES = frozenset({"bones", "in_doubt", "picture", "pictures"})
"""Fields whose names are keys of users' files (IN_DOUBT, PICTURE, `bones`): they stay."""
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DIRECTIVE = re.compile(r"#\s*(noqa|type:|fmt:|pragma|mypy:|!|-\*-)")


def prose(path: Path) -> Iterator[Sentence]:
    """Yield the docstrings and comments of a Python file."""
    file = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield Sentence(file, node.lineno, text)
    with tokenize.open(path) as stream:
        for token in tokenize.generate_tokens(stream.readline):
            if token.type == tokenize.COMMENT and not _DIRECTIVE.match(token.string):
                yield Sentence(file, token.start[0], token.string.lstrip("# "))


def bound_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names that a Python file binds: definitions, arguments, variables, attributes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node.ctx, ast.Store):
                name = node.id if isinstance(node, ast.Name) else node.attr
                yield node.lineno, name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def identifiers(path: Path) -> Iterator[Sentence]:
    """Yield the identifiers of a Python file with a part of `IDENTIFIERS`."""
    file = path.relative_to(ROOT).as_posix()
    for line, name in bound_names(path):
        if name in FIELDS_OF_FILES:
            continue
        for part in _PARTS.findall(name):
            if instead := IDENTIFIERS.get(part.lower()):
                yield Sentence(file, line, f"{name}  <- {part}: {instead}")


def main(argv: Sequence[str]) -> int:
    """Print the faults; return 1 if there are any."""
    from tests.test_sentences import faults

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("place", nargs="*", default=PRODUCT, help="files or folders")
    count = 0
    for path in product_files(parser.parse_args(argv).place):
        lines = [
            f"{one}  <- {', '.join(faults(one))}" for one in prose(path) if faults(one)
        ]
        lines += [str(one) for one in identifiers(path)]
        count += len(lines)
        for line in lines:
            print(line)
    print(f"{count} faults", file=sys.stderr)
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
