"""Count the words of the hand-written documentation: per page, and in total.

python tools/count_doc_words.py
"""

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "models/README.md",
    "docs/*.md",
    "docs/decisions/*.md",
)
GENERATED_PAGES = ("docs/api.md", "docs/program_options.md", "docs/settings.md")
GENERATED_PART = re.compile(
    r"<!-- (?:written by|GPU table).*?<!-- end of .*?-->", re.DOTALL
)
"""The parts of run_folder.md, results.md and models_measurements.md that programs write."""


def count_words() -> Mapping[str, int]:
    """Return the number of words of each page, as `wc -w` counts them."""
    pages = {
        path.relative_to(ROOT).as_posix(): path
        for pattern in PAGES
        for path in sorted(ROOT.glob(pattern))
    }
    return {
        name: len(GENERATED_PART.sub("", path.read_text("utf-8")).split())
        for name, path in pages.items()
        if name not in GENERATED_PAGES
    }


if __name__ == "__main__":
    counts = count_words()
    for name, words in counts.items():
        print(f"{words:6} {name}")
    print(f"{sum(counts.values()):6} in total")
