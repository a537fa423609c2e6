"""The table of findings: each is used, with all values that its texts name."""

import ast
from collections.abc import Iterator
from string import Formatter

import pytest

from deeplabstream.doctor.findings import _PHRASES, FINDINGS, Finding, finding
from deeplabstream.files.paths import ROOT


def calls() -> Iterator[tuple[ast.expr, set[str]]]:
    """Yield key and names of the values of each finding that the diagnosis makes."""
    for name in ("diagnosis", "gpu_diagnosis"):
        source = (ROOT / f"deeplabstream/doctor/{name}.py").read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "finding":
                yield node.args[0], {str(word.arg) for word in node.keywords}


def keys_of(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(key)):
            return [key]
        case ast.IfExp(body=one, orelse=other):
            return [*keys_of(one), *keys_of(other)]
        case ast.JoinedStr(values=[_, ast.Constant(value=str(ending))]):
            return [f"{device}{ending}" for device in ("camera", "serial")]
    raise AssertionError(ast.unparse(node))


def test_every_row_is_used_with_the_values_that_its_texts_name() -> None:
    used = set()
    for node, given in calls():
        for key in keys_of(node):
            row = FINDINGS[key]
            texts = (row.area, row.what, row.why, row.cure)
            fields = [name for text in texts for _, name, *_ in Formatter().parse(text)]
            named = {
                name.partition(".")[0].partition("[")[0] for name in fields if name
            }
            assert named - {*_PHRASES} == given - {"severity", "why", "cure"}, key
            assert not (row.cure and "cure" in given), key
            used.add(key)
    assert used == {*FINDINGS}


def test_values_are_filled_in_and_overrides_are_not() -> None:
    made = finding("cpu-avx2", cpu="The CPU {x}", cure="{y}")
    assert (made.what, made.cure) == ("The CPU {x} has no AVX2.", "{y}")
    assert isinstance(made, Finding)
    with pytest.raises(KeyError):
        finding("cpu-avx2")
