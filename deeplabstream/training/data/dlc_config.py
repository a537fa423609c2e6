"""Changes of a DeepLabCut project's `config.yaml`, which keep its comments and layout."""

import re
from collections.abc import Sequence
from pathlib import Path

from deeplabstream.files.atomic_replace import replace
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.projects import read_yaml, words_of

_KEY = "individuals"
_BLOCK = re.compile(rf"^{_KEY}:.*\n(?:(?:[ \t]+\S.*|-.*)\n)*", re.MULTILINE)
"""The key with its list: in brackets, perhaps over several lines, or one name a line."""


def write_individuals(config: Path, names: Sequence[str]) -> None:
    """Replace the names of the animals; nothing else of the file changes.

    LabelsError: the file is written in a way that this can't change; OSError: it can't be
    written.
    """
    import yaml

    before = read_yaml(config)
    if words_of(before, _KEY) == tuple(names):
        return
    text = config.read_bytes().decode("utf-8")
    listed = yaml.safe_dump({_KEY: [*names]}, allow_unicode=True, sort_keys=False)
    lines = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    changed = _BLOCK.sub(lambda _: listed, lines, count=1)
    if "\r\n" in text:
        changed = changed.replace("\n", "\r\n")
    draft = config.with_name(f"{config.name}.new")
    draft.write_bytes(changed.encode("utf-8"))
    try:
        same = read_yaml(draft) == {**before, _KEY: [*names]}
    except LabelsError:
        same = False
    if not same:
        draft.unlink()
        raise LabelsError(
            [
                f"{config}: write the names of the animals into {_KEY} yourself: {', '.join(names)}"
            ]
        )
    replace(draft, config)
