"""Train a network on labelled frames and write it as a model folder.

    python utils/TrainNetwork.py labels/ --output models/mine
    python utils/TrainNetwork.py config.yaml --output runs/one --overrides training.max_epochs=50

Labels are a folder with a `CollectedData.csv` of DeepLabCut or Lightning Pose and its images,
a DeepLabCut project or one video in it, or SLEAP's labels (`.slp`). With several animals per
frame the network also learns part affinity fields and finds all animals. A Lightning Pose
project is trained as its YAML file says; `--data PROJECT` takes its labels alone.
`--seeds 0,1,2` trains an ensemble.
"""

from deeplabstream.programs.program import Program
from deeplabstream.training.train_config import TrainConfig


def train_network(options: TrainConfig) -> int:
    """Train, then predict the test videos of a Lightning Pose configuration."""
    from deeplabstream.offline.after_training import predict_test_videos  # loads torch
    from deeplabstream.training.training_job import train

    trained = train(options)
    if trained.test_videos is None:
        return 0
    for folder in trained.networks:
        for file in predict_test_videos(folder, trained.test_videos, options.threads):
            print(file)
    return 0


PROGRAM = Program(
    TrainConfig,
    train_network,
    __doc__,
    "TrainNetwork",
    stopped="stopped; continue with --resume",
)
