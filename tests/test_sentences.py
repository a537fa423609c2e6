"""User-visible sentences use standard terms: none of the phrases of the earlier versions."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from tools.list_sentences import Sentence, product_files, sentences

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
STILL_THERE: Mapping[str, int] = MappingProxyType(
    {
        "cameras/basler/camera.py": 1,
        "cameras/network.py": 1,
        "cameras/realsense/camera.py": 2,
        "cameras/realsense/playback.py": 1,
        "cameras/simulated.py": 1,
        "cameras/video.py": 1,
        "cameras/webcam.py": 1,
        "deeplabstream/api/api_docs.py": 1,
        "deeplabstream/core/arguments.py": 1,
        "deeplabstream/core/hdf5.py": 1,
        "deeplabstream/engine/behaviour_classifiers.py": 2,
        "deeplabstream/engine/doctor/gpu_diagnosis.py": 2,
        "deeplabstream/engine/trial_preview.py": 1,
        "deeplabstream/plugins/camera.py": 2,
        "deeplabstream/pose/importers/network_description.py": 1,
        "deeplabstream/recording/run_repair.py": 1,
        "deeplabstream/recording/run_opening.py": 1,
        "deeplabstream/video/decoding.py": 1,
        "experiments/triggers/behaviour.py": 1,
        "experiments/triggers/digital_input.py": 1,
        "experiments/triggers/locomotion.py": 2,
        "outputs/board/output.py": 1,
    }
)
"""Sentences that are still to be rewritten, by file. The counts may only go down."""


@cache
def whole_product() -> tuple[Sentence, ...]:
    """Return the sentences of all product files."""
    return tuple(each for path in product_files() for each in sentences(path))


def faults(sentence: Sentence) -> list[str]:
    """Return the forbidden phrases in a sentence."""
    found = (re.search(each, sentence.text, re.IGNORECASE) for each in FORBIDDEN)
    return [match[0] for match in found if match]


def test_no_sentence_of_the_product_uses_a_forbidden_phrase() -> None:
    found = Counter[str]()
    lines: list[str] = []
    for sentence in whole_product():
        if told := faults(sentence):
            found[sentence.file] += 1
            lines.append(f"{sentence}  <- {', '.join(told)}")
    more = {file for file, count in found.items() if count > STILL_THERE.get(file, 0)}
    shown = [line for line in lines if line.partition(":")[0] in more]
    assert not more, "write these in standard terms:\n" + "\n".join(shown)


def test_the_list_has_messages_help_labels_and_descriptions() -> None:
    texts = {sentence.text for sentence in whole_product()}
    assert "Acknowledge" in texts  # a button
    assert "CPU threads of the network; 0: automatic" in texts  # a description
    assert "NAME of an [Output NAME]" in texts  # help of an option
    assert "{…} is not empty. Name a new folder" in texts  # an error
    assert "Pose network." in texts  # a class in docs/settings.md
    assert "STOP: all outputs are switched off" in texts  # a line of the log
    assert not any("QFrame#" in text for text in texts)


def test_a_forbidden_phrase_is_found() -> None:
    assert faults(Sentence("a.py", 1, "the picture is told")) == ["picture", "is told"]
    assert faults(Sentence("a.py", 1, "models/mine/pictures.jpg, --pictures")) == []
