"""What every class that settings.ini describes must keep to."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.plugins.discovery import discover
from deeplabstream.settings.fields import (
    Maker,
    Section,
    keys_of,
    missing_settings_decorator,
)
from deeplabstream.settings.loading import FAMILIES, FIXED
from deeplabstream.settings.settings_docs import format_value

FOLDER = Path("somewhere").resolve()
KINDS = [
    *FIXED.values(),
    *(
        kind
        for folder, contract in FAMILIES.values()
        for kind in discover(folder, contract).classes.values()
    ),
]


@pytest.mark.parametrize("kind", KINDS)
def test_written_as_words_and_read_again_it_is_the_same(
    sample: Callable[[type], Maker[Any]], kind: type
) -> None:
    made = sample(kind)()
    words = {
        key: format_value(getattr(made, name))
        for key, (name, _) in keys_of(kind).items()
    }
    section = Section(kind.__name__, kind, words, Path())
    maker = section.maker(lambda key: None)
    assert section.problems == []
    assert maker is not None
    assert maker() == made
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_is(kind: type) -> None:
    assert missing_settings_decorator(kind) is None
    assert kind.__doc__
    for key, (_, info) in keys_of(kind).items():
        assert info.description, f"{kind.__name__}: {key} has no description"


@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_is_a_sentence(kind: type) -> None:
    words = dict.fromkeys(keys_of(kind), "-§ nonsense")
    section = Section(kind.__name__, kind, words, FOLDER)
    section.maker(lambda key: None)
    for problem in section.problems:
        assert problem.startswith(f"[{kind.__name__}]")
        assert "should be" not in problem
        assert "pydantic" not in problem
