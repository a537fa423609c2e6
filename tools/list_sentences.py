"""List every sentence of the product that a user can read, with its file and line.

    python tools/list_sentences.py                      the whole product
    python tools/list_sentences.py deeplabstream/gui    some files or folders

User-visible are all texts of two words or more (messages, logs, help, descriptions of
settings), the texts of the window's widgets, the first lines of the classes that
docs/settings.md describes, the docstrings that programs print as their help, and the strings
below their options.
Parts that are filled in are written as `{…}`.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = (
    "app.py",
    "DeepLabStream.py",
    "cameras",
    "deeplabstream",
    "experiments",
    "outputs",
    "utils",
)
FILLED_IN = "{…}"
_WORDS = re.compile(r"[^\W\d_]{2,}[,;:.'’)]*\s+\(?[^\W\d_]{1,}|[^\W\d_]+[.…?!]$")
"""Two words, or one that ends as a sentence does."""
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_STYLE = re.compile(r"[\w-]+: [^{}]*;[^{}]*\}|<svg")
"""Style sheets and drawings."""
_SHOWN = re.compile(
    r"(^Q[A-Z]\w*|^StopButton|^set(Text|ToolTip|Title|WindowTitle|PlaceholderText|StatusTip|TabText)|"
    r"^add(Tab|Row|Item|Action|Menu|Button)|^insertItem|^print|^(warning|critical|"
    r"information|question))$"
)
"""Calls whose texts are shown even if they are single words."""


@dataclass(frozen=True)
class Sentence:
    """One text that a user can read."""

    file: str
    """Relative to the repository, with slashes."""
    line: int
    text: str

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f"{self.file}:{self.line}: {' '.join(self.text.split())}"


def sentences(path: Path) -> list[Sentence]:
    """Return the user-visible texts of a Python file, in the order of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = path.relative_to(ROOT).as_posix()
    found = {
        (node.lineno, node.col_offset): text
        for node, text in (*_docstrings(tree, file), *_literals(tree))
    }
    return [Sentence(file, line, text) for (line, _), text in sorted(found.items())]


def product_files(places: Sequence[str] = PRODUCT) -> Iterator[Path]:
    """Yield the Python files at and below some paths."""
    for place in places:
        path = (ROOT / place).resolve()
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def rendered(node: ast.expr) -> str | None:
    """Return the text of a literal, with its parts to fill in as `{…}`; None: no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else FILLED_IN
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = rendered(node.left), rendered(node.right)
        if any(both):
            return "".join(FILLED_IN if half is None else half for half in both)
    return None


def _docstrings(tree: ast.Module, file: str) -> Iterator[tuple[ast.expr, str]]:
    """Yield docstrings that users see: of programs, and first lines of settings classes."""
    program = file.startswith(("utils/", "deeplabstream/programs/")) or "/" not in file
    if program and (text := ast.get_docstring(tree)):
        yield _first(tree.body), text
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and (text := ast.get_docstring(node)):
            decorators = [ast.unparse(one) for one in node.decorator_list]
            if any(one.startswith("settings") for one in decorators):
                yield _first(node.body), text.splitlines()[0]
            if any(one.startswith("program_options") for one in decorators):
                yield from _descriptions(node.body[1:])


def _descriptions(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.expr, str]]:
    """Yield the strings below the fields of a class, which describe the options."""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str(text)) as node):
                yield node, text.removesuffix(".")


def _first(body: Sequence[ast.stmt]) -> ast.expr:
    statement = body[0]
    if not isinstance(statement, ast.Expr):
        raise TypeError(f"line {statement.lineno}: no docstring")
    return statement.value


def _literals(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield the texts in code: not docstrings, and no part of a larger text."""
    parts = _not_texts(tree)
    shown = _shown(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or id(node) in parts:
            continue
        text = rendered(node)
        if text is None or not (_WORDS.search(text) or id(node) in shown):
            continue
        parts.update(map(id, ast.walk(node)))
        if _LETTERS.search(text.replace(FILLED_IN, "")) and not _STYLE.search(text):
            yield node, text


def _not_texts(tree: ast.Module) -> set[int]:
    """Return what holds no sentence: docstrings, annotations, patterns, decorators."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        for name in ("annotation", "returns"):
            if (annotation := getattr(node, name, None)) is not None:
                skipped.update(map(id, _without_metadata(annotation)))
        if isinstance(node, ast.Call) and node.args and _owner(node.func) == "re":
            skipped.update(map(id, ast.walk(node.args[0])))
    return skipped


def _without_metadata(annotation: ast.expr) -> Iterator[ast.AST]:
    """Yield the nodes of an annotation outside of calls such as `Field(description=…)`."""
    if isinstance(annotation, ast.Call):
        return
    yield annotation
    for child in ast.iter_child_nodes(annotation):
        if isinstance(child, ast.expr):
            yield from _without_metadata(child)


def _shown(tree: ast.Module) -> set[int]:
    """Return the arguments of calls that show even a single word."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if _SHOWN.match(_name(node.func)):
                found.update(map(id, node.args))
            found.update(
                id(word.value) for word in node.keywords if word.arg == "description"
            )
    return found


def _name(function: ast.expr) -> str:
    """Return the last name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _owner(function: ast.expr) -> str:
    """Return the name before the dot of what is called."""
    owner = function.value if isinstance(function, ast.Attribute) else None
    return owner.id if isinstance(owner, ast.Name) else ""


def main(argv: Sequence[str]) -> int:
    """Print the list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("place", nargs="*", default=PRODUCT, help="files or folders")
    for path in product_files(parser.parse_args(argv).place):
        for sentence in sentences(path):
            print(sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
