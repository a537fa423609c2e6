"""Sentences and identifiers use standard terms: none of the words of the earlier versions."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import pytest

from tools.language_inside import identifiers, prose
from tools.list_sentences import PRODUCT, ROOT, Sentence, product_files, sentences

FORBIDDEN: Mapping[str, str] = MappingProxyType(
    {
        r"(?<![-/\w.])pictures?\b(?!/|\.\w)": "frame, image",
        r"(?<![-/\w.])(un)?film(s|ed|ing)?\b(?![/.]\w)": "record, video, stream",
        r"\bdrawn (animal|mouse|mice|picture|frame)": "simulated",
        r"\b(graphics )?cards?\b": "GPU",
        r"\bprocessors?\b": "CPU",
        r"(?<![-\w])bones?\b(?-i:(?<!BONES))": "edge",
        r"\bwho is who\b|\bdoubt(s|ed|ful)?\b": "identity ambiguity",
        r"\bexchange[sd]?\b": "swap, identity switch",
        r"\b(nobody|somebody|a person|persons?'s?|people)\b": "user; or passive voice",
        r"\bof wh(ich|om)\b|\bthat it may\b": "a sentence of its own",
        r"\b(is|was|are|were|be) told\b|\btold of\b|\btells? of\b": "reports, finds",
        r"\bas (it|they) c[oa]mes?\b|\banew\b|\bfor ever\b": "plain words",
        r"\bmend(s|ed|ing)?\b": "fix, repair",
        r"\bflat out\b|\bsees to it\b|\bin its place\b": "plain words",
        r"\b(does not|doesn't|do not|don't) know\b|\bknows no\b": "has no",
        r"(?<!there )\bis no (?!longer\b|more\b)\w": "is not a",
        r"\bthere is:": "available:",
        r"\bdecided? again\b": "re-run",
        r"\bbeliev(e|es|ed)\b|\bforg[eo]ts?\b|\bwants\b": "no personification",
        r"\b(crew|hygiene|watchman|vitals|physician|foretelling)\b": "standard terms",
        r"\bdials?\b": "camera control",
        r"\bpredecessor\b": "DeepLabStream 1",
    }
)
"""What no sentence may contain, and what to write instead."""


INSIDE = sorted(
    {
        path.relative_to(ROOT).as_posix()
        for place in PRODUCT
        for path in (
            (ROOT / place).iterdir() if place == "deeplabstream" else [ROOT / place]
        )
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
)


@cache
def whole_product() -> tuple[Sentence, ...]:
    """Return the sentences of all product files."""
    return tuple(each for path in product_files() for each in sentences(path))


def faults(sentence: Sentence) -> list[str]:
    """Return the forbidden phrases in a sentence."""
    found = (re.search(each, sentence.text, re.IGNORECASE) for each in FORBIDDEN)
    return [match[0] for match in found if match]


def test_no_sentence_of_the_product_uses_a_forbidden_phrase() -> None:
    lines: list[str] = []
    for sentence in whole_product():
        if phrases := faults(sentence):
            lines.append(f"{sentence}  <- {', '.join(phrases)}")
    assert not lines, "write these in standard terms:\n" + "\n".join(lines)


@pytest.mark.parametrize("place", INSIDE)
def test_the_inside_uses_standard_terms(place: str) -> None:
    """Docstrings, comments and identifiers; tools/language_inside.py lists the faults."""
    paths = product_files([place])
    lines = [
        f"{one}  <- {', '.join(phrases)}"
        for path in paths
        for one in prose(path)
        if (phrases := faults(one))
    ]
    lines += [str(one) for path in paths for one in identifiers(path)]
    assert not lines, "write these in standard terms:\n" + "\n".join(lines)


def test_the_list_has_messages_help_labels_and_descriptions() -> None:
    texts = {sentence.text for sentence in whole_product()}
    assert "Acknowledge" in texts  # a button
    assert "CPU threads of the network; 0: automatic" in texts  # a description
    assert "NAME of an [Output NAME]" in texts  # help of an option
    assert "{…} is not empty. Name a new folder" in texts  # an error
    assert "Pose network." in texts  # a class in docs/settings.md
    assert "STOP: all outputs are being switched off" in texts  # a line of the log
    assert not any("QFrame#" in text for text in texts)


def test_a_forbidden_phrase_is_found() -> None:
    assert faults(Sentence("a.py", 1, "the picture is told")) == ["picture", "is told"]
    assert faults(Sentence("a.py", 1, "models/mine/pictures.jpg, --pictures")) == []
