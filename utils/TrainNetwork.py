"""Train a network on labelled frames and write it as a model folder.

    python utils/TrainNetwork.py labels/ --output models/mine
    python utils/TrainNetwork.py config.yaml --output runs/one --overrides training.max_epochs=50

Labels are a folder with a `CollectedData.csv` of DeepLabCut or Lightning Pose and its images,
a DeepLabCut project or one video in it, or SLEAP's labels (`.slp`). With several animals per
frame the network also learns part affinity fields and finds all animals. A Lightning Pose
project is trained as its YAML file says; `--data PROJECT` takes its labels alone.
`--seeds 0,1,2` trains an ensemble.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import shlex
from collections.abc import Sequence

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.after_training import predict_test_videos
from deeplabstream.training.command_line import config_of, train_parser
from deeplabstream.training.training_job import train


@ending("stopped; continue with --resume")
def main(argv: Sequence[str] | None = None) -> int:
    """Train."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = train_parser((__doc__ or "").split("\n")[0])
    arguments = parser.parse_args(given)
    command = shlex.join(["python", "utils/TrainNetwork.py", *given])
    try:
        config = config_of(arguments, command)
    except ModelError as error:
        parser.error(str(error))
    trained = train(config)
    if trained.test_videos is not None:
        for folder in trained.networks:
            for file in predict_test_videos(
                folder, trained.test_videos, config.threads
            ):
                print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
