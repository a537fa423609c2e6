import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import experiments
from deeplabstream.settings.loading import parse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"[Ww]rite\s+`experiments/(\w+)\.py`")


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[list[tuple[str, str]]]:
    """The page's blocks of code, those that are files written where they say."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    names = FILE.findall(text)
    programs = [code for language, code in blocks if language == "python"]
    for name, code in zip(names, programs, strict=False):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    experiments.__path__.append(str(tmp_path))
    yield blocks
    experiments.__path__.remove(str(tmp_path))
    for name in names:
        sys.modules.pop(f"experiments.{name}", None)
        vars(experiments).pop(name, None)


def test_every_block_of_the_tutorial_runs(blocks: list[tuple[str, str]]) -> None:
    rigs = []
    for language, code in blocks:
        if language == "python":
            exec(compile(code, str(PAGE), "exec"), {"__name__": "tutorial"})
        elif language == "ini":
            rigs.append(parse(code, PAGE.parent))
    assert type(rigs[0].new_experiment()).__name__ == "LeftOrRight"
    assert type(rigs[0].new_triggers()["at rest"]).__name__ == "Still"


def test_the_tutorial_s_examples_are_as_short_as_it_says(
    blocks: list[tuple[str, str]],
) -> None:
    said = [int(n) for n in re.findall(r"in (\d+) lines", PAGE.read_text("utf-8"))]
    programs = [code for language, code in blocks if language == "python"]
    assert [program.count("\n") for program in programs[:2]] == said
    assert Random(0).randrange(2) == 1  # the first cue, as the page shows it
