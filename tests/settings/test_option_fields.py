"""An option of a program is declared once: everything else comes from its field."""

import argparse
import inspect
from typing import Any, Literal

import pytest
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.errors import ModelError
from deeplabstream.settings.option_fields import add_options, raises


@raises(ModelError)
@settings(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Options:
    """Options of a test."""

    steps: int = Field(default=1500, ge=1, description="batches to train on")
    share: float = Field(default=0.15, ge=0, le=0.9, description="share of `steps`")
    kind: Literal["one", "two"] = Field(default="one", description="kind")
    edges: tuple[str, ...] = Field(default=(), description="edges")
    mirror: bool | None = Field(default=None, description="mirror; default: automatic")
    imagenet: bool = Field(default=True, description="start from ImageNet")
    output: str = Field(
        description="where to write", json_schema_extra={"aliases": ["--into"]}
    )


def parsed(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser, Options)
    return Options(**vars(parser.parse_args(arguments)))


def test_the_command_line_gives_what_a_python_user_writes() -> None:
    assert parsed("--output", "a") == Options(output="a")
    arguments = ["--into", "a", "--steps", "20", "--share", "0.5", "--kind", "two"]
    arguments += ["--edges", "a:b", "c:d", "--no-mirror", "--no-imagenet"]
    assert parsed(*arguments) == Options(
        output="a", steps=20, share=0.5, kind="two", edges=("a:b", "c:d"),
        mirror=False, imagenet=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"steps": 0}, "steps = 0: expected 1 or more"),
        ({"steps": "x"}, "steps = 'x': expected a whole number"),
        ({"steps": "1.5"}, "steps = '1.5': expected a whole number"),
        ({"steps": ""}, "steps = '': expected a whole number"),
        ({"share": float("nan")}, "share = nan: expected a number from 0 to 0.9"),
        ({"kind": "tow"}, "kind = 'tow': expected one of one, two; did you mean two?"),
        ({"stepps": 3}, "stepps: unknown option"),
        ({"output": None}, "output = None: expected text"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ModelError) as raised:
        Options(**{"output": "a"} | values)
    assert str(raised.value) == sentence


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(
        ModelError, match=r"steps = 0: .*; share = 2: .*; output: is miss"
    ):
        Options(steps=0, share=2)  # type: ignore[call-arg]


def test_help_docstring_and_signature_show_description_limits_and_default() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, Options)
    text = " ".join(parser.format_help().split())
    assert "Share of --steps (a number from 0 to 0.9; default: 0.15)" in text
    documented = inspect.getdoc(Options) or ""
    assert "share : float\n    Share of `steps`; a number from 0 to 0.9." in documented
    assert "output : str\n    Where to write." in documented
    assert inspect.signature(Options).parameters["share"].default == 0.15
