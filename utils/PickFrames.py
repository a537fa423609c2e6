"""Picks frames worth labelling from a video: python utils/PickFrames.py VIDEO --into labels.

They are as different from each other as can be, and come as PNG files into
`labels/labeled-data/VIDEO/`, where the window's Network page and DeepLabCut look for them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
from collections.abc import Sequence

from core.errors import DeepLabStreamError
from offline.decoding import video_rows
from offline.picking import pick, write_pictures
from training.label_book import PICTURES


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when something that the user can mend is wrong."""
    parser = argparse.ArgumentParser(prog="PickFrames.py", description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)
    if asked.count < 1:
        parser.error("--count: at least 1")
    try:
        for video in asked.videos:
            rows = video_rows(video)
            folder = asked.into / PICTURES / video.stem
            written = write_pictures(rows, pick(rows, asked.count, asked.seed), folder)
            print(
                f"{len(written)} of {len(rows)} frames of {video.name} are in {folder}"
            )
    except (DeepLabStreamError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
