"""Pages of the documentation, and the commands in them."""

import importlib
import re
import shlex
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])


BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    shell = "\n".join(code for language, code in blocks(page) if language == "sh")
    lines = shell.replace("\\\n", " ").splitlines()
    return [line.partition("#")[0].strip() for line in lines]


def main_of(command: str) -> tuple[Callable[[list[str]], int], list[str]] | None:
    """Return a program's `main` and the words after it; None: it is another program."""
    words = shlex.split(command)
    if len(words) < 2 or not words[0].endswith("python"):
        return None
    program = Path(words[1])
    if program.parent.name == "benchmarks":
        return None  # tests/test_started.py starts them
    name = ".".join([*program.parent.parts, program.stem])
    return importlib.import_module(name).main, words[2:]
