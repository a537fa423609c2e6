"""A classifier of behaviours, from labels to a light: rest and walk of a drawn animal."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Literal

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from deeplabstream.core.errors import DeepLabStreamError, ModelError, SettingsError
from deeplabstream.engine.behaviour_classifiers import open_classifiers
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.offline.run_import import ImportOptions, import_run
from deeplabstream.pose.behaviour.classifier import Classifier, open_model
from deeplabstream.pose.behaviour.classifier_folder import (
    load_classifier_folder,
    read_features,
)
from deeplabstream.recording import run_opening
from deeplabstream.recording.exporters.pose_files import write_dlc_csv
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import load, parse
from deeplabstream.training.behaviour_classifier import (
    BehaviourInterval,
    Examples,
    read_intervals,
    split,
)
from deeplabstream.video.video_reader import open_video
from tests.offline.films import write_film
from tests.training.walker import PLACE, RATE, RIG, SKELETON, Animal, run
from utils import CheckSettings, ConvertClassifier, LearnTracking, TrainClassifier

ASKING = """
[Classifier gait]
FOLDER = gait

[Trigger walking]
KIND = Behaviour
BEHAVIOUR = walk
THRESHOLD = 0.6
"""


def labels(path: Path, seed: int) -> Path:
    rows = [f"{start},{end},{name}" for start, end, name in Animal(seed).bouts]
    path.write_text("\n".join(["start_s,end_s,behaviour", *rows]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, its labels and the classifier `gait` trained on them."""
    root = tmp_path_factory.mktemp("behaviours")
    folder, _ = run(RIG + PLACE, root / "run", 1, 60)
    words = [
        str(root / "gait"),
        "--of",
        str(folder.path),
        str(labels(root / "l.csv", 1)),
    ]
    words += ["--chain", "snout,leftear,tailbase", "--window-s", "0.4", "--trees", "10"]
    assert TrainClassifier.main(words) == 0
    return root


def test_intervals_of_boris_are_read(tmp_path: Path) -> None:
    head = "Observation id\tSubject\tBehavior\tBehavior type\tStart (s)\tStop (s)\tDuration (s)"
    rows = [
        "one\tNo focal subject\tgroom\tSTATE\t1.800\t8.125\t6.325",
        "one\tNo focal subject\tsniff\tPOINT\t32.825\t32.825\tNA",
        "one\tNo focal subject\trest\tSTATE\t10.250\t23.350\t13.100",
    ]
    file = tmp_path / "events.tsv"
    wanted = [
        BehaviourInterval(1.8, 8.125, "groom"),
        BehaviourInterval(10.25, 23.35, "rest"),
    ]
    text = "\n".join([head, *rows])
    file.write_text(text, "utf-8")
    assert read_intervals(file) == wanted
    file.write_text(text.replace(".", ",").replace("\t", ";"), "utf-8")
    assert read_intervals(file) == wanted
    other_points = rows[1].replace("one", "two").replace("No focal", "a")
    file.write_text(f"{text}\n{other_points}", "utf-8")
    assert read_intervals(file) == wanted
    for other, said in (
        (
            rows[0].replace("one", "two"),
            r"several values of Observation id \(one, two\)",
        ),
        (rows[0].replace("No focal", "a"), "several values of Subject"),
        (rows[0].replace("8.125", "1.2"), "line 5: expected the start below the end"),
        (rows[0].replace("8.125", "NA"), "line 5: expected start and end in seconds"),
    ):
        file.write_text(f"{text}\n{other}", "utf-8")
        with pytest.raises(DeepLabStreamError, match=said):
            read_intervals(file)
    file.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(DeepLabStreamError, match="needs the columns start_s, end_s"):
        read_intervals(file)


def test_subject_and_modifier_of_boris_are_actor_and_target(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    rows = [
        "Subject,Behavior,Modifier #1,Behavior type,Start (s),Stop (s)",
        "anna,sniff,bob,STATE,1.0,2.0",
        "bob,chase,anna,STATE,2.0,3.5",
        "No focal subject,none,,STATE,3.5,9.0",
    ]
    file.write_text("\n".join(rows), "utf-8")
    assert read_intervals(file, pairs=True) == [
        BehaviourInterval(1.0, 2.0, "sniff", "anna", "bob"),
        BehaviourInterval(2.0, 3.5, "chase", "bob", "anna"),
        BehaviourInterval(3.5, 9.0, "none"),
    ]
    with pytest.raises(DeepLabStreamError, match="several values of Subject"):
        read_intervals(file)
    file.write_text("\n".join([*rows, ",sniff,bob,STATE,9.0,9.5"]), "utf-8")
    with pytest.raises(DeepLabStreamError, match="line 5: expected an actor and a t"):
        read_intervals(file, pairs=True)


def test_boris_rows_of_one_animal_are_left_out_of_pairs(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    rows = [
        "Subject,Behavior,Modifier #1,Behavior type,Start (s),Stop (s)",
        "anna,groom,,STATE,0.0,0.9",
        "anna,sniff,bob,STATE,1.0,2.0",
    ]
    file.write_text("\n".join(rows), "utf-8")
    assert read_intervals(file, pairs=True) == [
        BehaviourInterval(1.0, 2.0, "sniff", "anna", "bob")
    ]


def test_no_frame_is_both_learned_from_and_tested_on() -> None:
    times_s = np.arange(0.5, 40, 0.1)
    names = np.where(times_s % 2 < 1, "rest", "walk")
    data = Examples(times_s.astype(np.float32)[:, None], names, times_s)
    learn, test = split(data, 4.0, 0.5)
    assert len(test) > 60
    assert len(learn) + len(test) > len(data) - 24
    windows = [each.times_s[:, None] - np.linspace(0, 0.5, 6) for each in (learn, test)]
    frames = [set(np.rint(each.ravel() / 0.1).astype(int)) for each in windows]
    assert not frames[0] & frames[1]
    assert learn.times_s[0] == 0.5


def boris(path: Path, *rows: str) -> Path:
    """Write aggregated events of BORIS; `rows`: start, end and behaviour."""
    head = "Behavior,Behavior type,Start (s),Stop (s)"
    cells = [row.split(",") for row in rows]
    lines = [f"{name},STATE,{start},{end}" for start, end, name in cells]
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")
    return path


def test_times_of_boris_count_from_the_start_of_the_video(
    trained: Path, tmp_path: Path
) -> None:
    golden = Path(__file__).parents[1] / "golden/version_2_0_0_dev0/run"
    source = Path(shutil.copytree(golden, tmp_path / "run"))
    recorded = read_frames(RunFolder(source), "arena").of_video("arena.mkv").times_s
    assert recorded[0] > 20  # the stream ran before the recording
    events = boris(tmp_path / "boris.csv", "0.1,0.6,rest", "0.6,1.2,walk")
    words = ["--window-s", "0.1", "--features-only", "--of", str(source), str(events)]
    assert TrainClassifier.main([str(tmp_path / "found"), *words]) == 0
    table = pd.read_csv(tmp_path / "found/features.csv")
    since_s = table["time_s"] - 0.05 - recorded[0]  # middle of the window
    rest = (table["behaviour"] == "rest").to_numpy()
    assert {*table["behaviour"]} == {"rest", "walk"}
    assert since_s[rest].between(0.1, 0.6).all()
    assert since_s[~rest].between(0.6, 1.2).all()

    # a table with time_s of the run is used as it is
    own = tmp_path / "own.csv"
    own.write_text("start_s,end_s,behaviour\n26.5,26.7,rest\n", "utf-8")
    assert read_intervals(own, RunFolder(source), "arena") == [
        BehaviourInterval(26.5, 26.7, "rest")
    ]
    for ending in (".mkv", ".frames.csv"):
        shutil.copy(source / f"arena{ending}", source / f"arena_2{ending}")
    with pytest.raises(DeepLabStreamError, match="has 2 videos of the camera arena"):
        read_intervals(events, RunFolder(source), "arena")
    (without,) = trained.glob("run/**/top.csv")
    with pytest.raises(DeepLabStreamError, match=r"has 0 videos.* give .*time_s"):
        read_intervals(events, RunFolder(without.parent), "top")


@pytest.mark.parametrize("how", ["link", "reference"])
def test_times_of_boris_follow_the_frames_of_an_imported_video(
    trained: Path, tmp_path: Path, how: Literal["link", "reference"]
) -> None:
    (table,) = trained.glob("run/**/top.csv")
    rows = read_frames(RunFolder(table.parent), "top").poses
    write_dlc_csv(rows, tmp_path / "poses.csv")
    film = write_film(tmp_path / "film.mp4", frames=len(rows))
    played = open_video(film).rate
    options = ImportOptions(fps=4 * played, video=how)  # slow motion
    made = import_run(film, tmp_path / "poses.csv", tmp_path / "imported", options)
    events = boris(tmp_path / "boris.csv", "4,8,rest")
    (found,) = read_intervals(events, made.folder, "video")
    assert (found.start_s, found.end_s) == pytest.approx((1, 2), abs=1e-3)


def test_an_imported_run_is_learned_from_like_the_run_itself(
    trained: Path, tmp_path: Path
) -> None:
    (table,) = trained.glob("run/**/top.csv")
    rows = read_frames(RunFolder(table.parent), "top").poses
    poses = tmp_path / "poses.csv"
    write_dlc_csv(rows, poses)
    film = write_film(tmp_path / "film.mp4", frames=len(rows))
    options = ImportOptions(fps=RATE, mm_per_pixel=0.5, threshold=0.5)
    made = import_run(film, poses, tmp_path / "imported", options)
    words = ["--of", str(made.folder.path), str(labels(tmp_path / "l.csv", 1))]
    words += ["--unit", "mm", "--window-s", "0.4", "--trees", "10"]
    assert TrainClassifier.main([str(tmp_path / "gait"), *words]) == 0
    assert load_classifier_folder(tmp_path / "gait").features.unit == "mm"
    assert LearnTracking.main([str(made.folder.path), "--unit", "mm"]) == 0


def test_a_killed_run_is_made_whole_before_it_is_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    folder, _ = run(RIG + PLACE, tmp_path / "run", 1, 10)
    folder.update(ended=None, how=None)
    with folder.table_path("top").open("ab") as table:
        table.write(b"9,0.3,1000")  # half a row
    words = [str(tmp_path / "gait"), "--of", str(folder.path)]
    words += [str(labels(tmp_path / "l.csv", 1)), "--features-only"]
    assert TrainClassifier.main(words) == 0
    assert "repaired: top.csv: a half-written row" in capsys.readouterr().out
    assert folder.facts["how"] == "killed"


def test_a_behaviour_switches_a_light_and_is_replayed_without_its_classifier(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "gait", tmp_path / "gait")
    folder, steps = run(RIG + ASKING, tmp_path / "run", 2, 40)
    truth, right, told = Animal(2), 0, 0
    for step in steps:
        time_s = step.exposed_ns / 1e9
        if step.triggers["walking"] is not None and time_s > 0.5:
            told += 1
            right += step.triggers["walking"] is (truth.does(time_s - 0.2) == "walk")
    assert told > 0.95 * len(steps) - RATE
    assert right > 0.95 * told
    switched = [c for step in steps for c in step.commands if type(c).__name__ == "Set"]
    bouts = sum(name == "walk" and start < 39 for start, _, name in truth.bouts)
    assert len(switched) == pytest.approx(2 * bouts, abs=3)

    shutil.rmtree(tmp_path / "gait")
    again = compare(load(folder.path / "settings.ini"), folder)
    assert again.same
    assert again.commands >= len(switched)
    stricter = (RIG + ASKING).replace("THRESHOLD = 0.6", "THRESHOLD = 0.9999")
    assert not compare(parse(stricter, tmp_path), folder).same


def test_what_is_told_is_in_the_record(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "gait", tmp_path / "gait")
    folder, steps = run(RIG + ASKING, tmp_path / "run", 3, 3)
    for step, read in zip(steps, folder.steps("top"), strict=True):
        assert str(step.behaviours) == str(read.behaviours)
    assert np.isnan(steps[0].behaviours["walk"]), "its window is not full yet"
    assert sum(steps[-1].behaviours.values()) == pytest.approx(1, abs=1e-5)


def test_a_classifier_that_is_damaged_or_unfit_is_a_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.ini"
    shutil.copytree(trained / "gait", tmp_path / "gait")
    wrong = ASKING.replace("= walk", "= wakl")
    for text, complaint in [
        (RIG + wrong, "no [Classifier NAME] detects it; did you mean walk?"),
        (RIG + ASKING + "[Classifier b]\nFOLDER = gait\n", "both detect 'rest'"),
        (RIG + ASKING + "[Classifier b]\nFOLDER = none\n", "is not a classifier"),
    ]:
        settings.write_text(text, "utf-8")
        assert CheckSettings.main([str(settings)]) == 1
        assert complaint in capsys.readouterr().out
    words = json.loads((tmp_path / "gait" / "classifier.json").read_text("utf-8"))
    words["features"][0]["of"] = ["nose", "tailbase"]
    (tmp_path / "gait" / "classifier.json").write_text(json.dumps(words), "utf-8")
    with pytest.raises(SettingsError, match="has no body part 'nose'"):
        open_classifiers(parse(RIG + ASKING, tmp_path), SKELETON)
    (tmp_path / "gait" / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="sha256"):
        load_classifier_folder(tmp_path / "gait")


@pytest.fixture(scope="module")
def features(trained: Path) -> Path:
    """Features of the run, for a classifier of one's own."""
    words = [str(trained / "features"), "--of", str(trained / "run")]
    words += [str(trained / "l.csv"), "--features-only"]
    assert TrainClassifier.main(words) == 0
    return trained / "features"


def a_model(features: Path) -> KNeighborsClassifier:
    import pandas as pd

    table = pd.read_csv(features / "features.csv")
    assert set(table["behaviour"]) == {"rest", "walk"}
    return KNeighborsClassifier(5).fit(
        table.iloc[:, 2:].to_numpy(np.float32), table["behaviour"] == "walk"
    )


def test_a_model_of_one_s_own_is_converted(features: Path, tmp_path: Path) -> None:
    joblib.dump([None, a_model(features)], tmp_path / "mine.sav")
    words = [str(tmp_path / "mine.sav"), str(tmp_path / "mine"), "--trust"]
    words += ["--features", str(features / "features.json"), "--element", "1"]
    assert ConvertClassifier.main([*words, "--classes", "", "walk"]) == 0
    folder = load_classifier_folder(tmp_path / "mine")
    assert folder.behaviours == ("walk",)
    assert folder.features == read_features(features / "features.json")
    assert Classifier(open_model(folder)).classify(
        Animal(1).estimate([])[0], 0.0
    ).keys() == {"walk"}


class Poison:
    """What a pickle may hold."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled_without_trust(
    features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Poison(tmp_path / "ran")))
    words = [str(tmp_path / "bad.pkl"), str(tmp_path / "bad")]
    words += ["--features", str(features / "features.json")]
    assert ConvertClassifier.main(words) == 2
    assert "--trust" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert ConvertClassifier.main([*words, "--trust"]) == 2
    assert (tmp_path / "ran").exists(), "this is what trust means"
    assert "not a trained scikit-learn classifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (KNeighborsClassifier(1).fit(np.eye(3), [0, 1, 1]), "trained on 3 features"),
        (LinearSVC().fit(np.eye(3), [0, 1, 1]), "with probabilities"),
        ("a word", "not a trained scikit-learn classifier"),
    ],
)
def test_a_model_that_does_not_fit_is_a_sentence(
    features: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: object,
    complaint: str,
) -> None:
    joblib.dump(model, tmp_path / "m.joblib")
    words = [str(tmp_path / "m.joblib"), str(tmp_path / "m"), "--trust"]
    assert (
        ConvertClassifier.main([*words, "--features", str(features / "features.json")])
        == 2
    )
    assert complaint in capsys.readouterr().err


def test_a_run_without_readable_settings_is_a_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    settings = next((tmp_path / "run").glob("**/settings.ini"))
    folder = str(settings.parent)
    words = [str(tmp_path / "c"), "--of", folder, str(trained / "l.csv")]
    settings.write_bytes(b"[Session]\nANIMAL = K\xe4fig\n")
    for said in ("is not UTF-8 text", "Can't read"):
        assert LearnTracking.main([folder]) == 2
        assert said in capsys.readouterr().err
        assert TrainClassifier.main(words) == 2
        assert said in capsys.readouterr().err
        settings.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", "columns start_s"),
        ("start_s,end_s,behaviour\n2,1,rest\n", "line 2"),
        ("start_s,end_s,behaviour\n0,60,rest\n", "two behaviours"),
    ],
)
def test_labels_that_can_not_be_are_a_sentence(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    complaint: str,
) -> None:
    (tmp_path / "l.csv").write_text(text, "utf-8")
    words = [str(tmp_path / "c"), "--of", str(trained / "run"), str(tmp_path / "l.csv")]
    assert TrainClassifier.main(words) == 2
    assert complaint in capsys.readouterr().err
