"""Commands that are tried on foreign files, and what each must lead to."""

from dataclasses import dataclass

DLC = "DLC_resnet50_reachNov3shuffle1_50000"


@dataclass(frozen=True)
class Try:
    """One command. `{out}` is a place of its own, `{data}` the folder of real recordings."""

    of: str
    """Whose file it is, and what is special about it."""
    typed: str
    made: tuple[str, ...] = ()
    """Patterns of files that are there afterwards; each follows `{out}`."""
    refused: str = ""
    """Expression in the sentence of a right refusal; empty: it must be done."""
    poses: str = ""
    """Pattern of a table of poses, which must be where the foreign file had them."""
    quick: bool = False


def predicted(of: str, video: str, quick: bool = False) -> Try:
    """Return a try of poses of a video, by a network that needs no file."""
    typed = f'PredictVideos "{video}" --model stand-in:0 --output {{out}}'
    return Try(of, typed, ("/*.csv",), quick=quick)


def imported(of: str, poses: str, more: str = "", quick: bool = False) -> Try:
    """Return a try of a run made of a video and poses; those of its export are compared."""
    typed = f'ImportRun mouse.mp4 "{poses}" --to {{out}} {more}'.strip()
    typed += " && ExportRun {out} --to dlc-h5"
    return Try(of, typed, ("/run.json",), poses="/export/*.h5", quick=quick)


def refused(of: str, typed: str, sentence: str, quick: bool = False) -> Try:
    """Return a try that must end with a sentence."""
    return Try(of, typed, refused=sentence, quick=quick)


TRIES = [
    predicted(
        "video, MJPEG, name with umlauts and spaces", "Käfig 1 – Maus ñ.avi", True
    ),
    predicted("video, HEVC, 1000/s, Japanese folder", "日本/鼠 (2).mkv"),
    predicted("video, VP9, a frame in 2 s", "slow.webm"),
    predicted("video, FFV1, 16 bits grey", "sixteen.mkv"),
    predicted("video, GIF", "animated.gif"),
    predicted("video, WMV", "windows.wmv"),
    predicted("video, MPEG-4, odd sides", "odd.avi"),
    predicted("video, 4:4:4, 29.97/s", "ntsc.mov"),
    predicted("video, turned by 90 degrees in its header", "phone.mp4"),
    refused(
        "video, half of an MP4",
        "PredictVideos cut.mp4 --model stand-in:0 --output {out}",
        r"cut\.mp4 is not a readable video",
    ),
    refused(
        "video, empty",
        "PredictVideos empty.mp4 --model stand-in:0 --output {out}",
        r"empty\.mp4 is not a readable video",
    ),
    refused(
        "text with a video's ending",
        "PredictVideos text.avi --model stand-in:0 --output {out}",
        r"text\.avi is not a readable video",
    ),
    refused(
        "sound with a video's ending",
        "PickFrames sound.mp4 --into {out}",
        r"sound\.mp4 holds no frames",
    ),
    refused(
        "folder of images given as videos",
        'PredictVideos "image sequence" --model stand-in:0 --output {out}',
        r"contains no video.*PredictFrames",
        quick=True,
    ),
    refused(
        "folder that does not exist",
        "PickFrames videos/nowhere --into {out}",
        r"videos/nowhere: there is no such video or run folder",
    ),
    imported("DeepLabCut, one animal, CSV", f"mouse{DLC}.csv", quick=True),
    imported("DeepLabCut, one animal, HDF5", f"mouse{DLC}.h5"),
    imported("DeepLabCut, two animals, filtered CSV", f"mouse{DLC}_el_filtered.csv"),
    imported("DeepLabCut, two animals, HDF5", f"mouse{DLC}_el.h5"),
    imported("DeepLabCut's CSV, saved by a spreadsheet", "spreadsheet.csv"),
    imported("Lightning Pose, CSV of movement", "lightning pose_individual_0.csv"),
    imported("SLEAP, analysis HDF5", "mouse.analysis.h5"),
    imported("SLEAP, analysis HDF5 of movement", "movement.analysis.h5"),
    imported("SLEAP, predictions .slp with tracks", "mouse.predictions.slp"),
    imported("SLEAP, CSV of sleap-io", "mouse.sleap.csv"),
    *(
        imported(
            f"JABS, version {version}, y before x", f"mouse_pose_est_v{version}.h5"
        )
        for version in range(2, 7)
    ),
    imported("IBL, Parquet of alf/", "alf/_ibl_leftCamera.dlc.pqt"),
    refused(
        "DeepLabCut, CSV of fewer frames than the video",
        "ImportRun mouse.mp4 short.csv --to {out}",
        r"20.*24.*--cut|24.*20.*--cut",
    ),
    Try(
        "the same with --cut",
        "ImportRun mouse.mp4 short.csv --to {out} --cut",
        ("/run.json",),
    ),
    refused(
        "DeepLabCut, CSV cut off in a row",
        "ImportRun mouse.mp4 half.csv --to {out}",
        r"half\.csv has 10 frames and mouse\.mp4 has 24.*--cut",
    ),
    refused(
        "DeepLabCut, CSV of a header alone",
        "ImportRun mouse.mp4 header.csv --to {out}",
        r"header\.csv has less than two frames",
    ),
    refused(
        "DeepLabCut, pickle of raw detections",
        "ImportRun mouse.mp4 full.pickle --to {out}",
        r"full\.pickle.*(\.h5|\.csv|CSV|HDF5)",
    ),
    *(
        refused(
            f"{of}, given as poses", f'ImportRun mouse.mp4 "{file}" --to {{out}}', way
        )
        for of, file, way in (
            ("movement's netCDF", "movement.nc", r"to_dlc_file|DeepLabCut"),
            ("NWB with ndx-pose", "poses.nwb", r"DeepLabCut|SLEAP|csv|slp"),
            (
                "COCO's keypoints",
                "coco/person_keypoints.json",
                r"TrainNetwork and ConvertProject",
            ),
            ("EthoVision, text", "Raw data-Trial 1.txt", r"DeepLabCut|poses"),
            ("EthoVision, Excel", "Raw data-Trial 1.xlsx", r"DeepLabCut|poses"),
            ("BORIS, events", "boris.csv", r"poses"),
            ("Bonsai, centres without header", "Bonsai.csv", r"poses"),
            ("anipose, 3-D points", "anipose_3d.csv", r"poses"),
            ("anipose, calibration", "calibration.toml", r"poses"),
            ("a video", "odd.avi", r"poses"),
        )
    ),
    Try(
        "DeepLabCut project, labels checked",
        "CheckLabels reach-me-2026-11-03",
        quick=True,
    ),
    Try(
        "DeepLabCut project, name with umlauts, for Lightning Pose",
        'ConvertProject "Größe – test" --output {out}',
        ("/config.yaml", "/CollectedData*.csv"),
    ),
    Try(
        "DeepLabCut project of two animals, for SLEAP",
        "ConvertProject pair-me-2026-11-03 --output {out}.pkg.slp",
        (".pkg.slp",),
    ),
    Try(
        "DeepLabCut project, its labeled-data folder",
        "RecommendSettings reach-me-2026-11-03/labeled-data",
    ),
    Try(
        "DeepLabCut project, two steps of training",
        "TrainNetwork --data reach-me-2026-11-03 --output {out} --steps 2 --no-imagenet",
        ("/model.json",),
    ),
    Try(
        "DeepLabCut project of two animals, two steps of training",
        "TrainNetwork --data pair-me-2026-11-03 --output {out} --steps 2 --no-imagenet",
        ("/model.json",),
    ),
    Try(
        "SLEAP, labels with images, two steps of training, then prediction",
        "TrainNetwork --data labels.pkg.slp --output {out} --steps 2 --no-imagenet"
        " && PredictVideos mouse.mp4 --model {out} --output {out}/predicted --to nwb slp",
        ("/predicted/*.nwb", "/predicted/*.slp"),
    ),
    Try(
        "SLEAP, labels beside their video",
        "ConvertProject labels.slp --output {out}",
        ("/config.yaml", "/CollectedData*.csv"),
    ),
    Try(
        "COCO, keypoints with images",
        "ConvertProject coco/person_keypoints.json --output {out}",
        ("/config.yaml", "/CollectedData*.csv"),
    ),
    Try(
        "Lightning Pose project, one epoch",
        "TrainNetwork lightning/config.yaml --output {out} --overrides training.max_epochs=1",
        ("/model.json", "/predictions.csv"),
    ),
    *(
        refused(of, f'TrainNetwork --data "{data}" --output {{out}} --steps 2', way)
        for of, data, way in (
            ("DeepLabCut project without labels", "unlabelled", r"no labels|label"),
            ("DeepLabCut project with damaged config.yaml", "torn", r"config\.yaml"),
            (
                "DeepLabCut project, images lost",
                "images lost",
                r"there is no image images lost/",
            ),
            (
                "SLEAP, labels cut off",
                "cut.pkg.slp",
                r"cut\.pkg\.slp can't be unpacked.*truncated",
            ),
            ("COCO, boxes without keypoints", "coco/instances.json", r"keypoints"),
            ("LabelMe", "img000.json", r"COCO"),
            ("Label Studio", "label studio.json", r"COCO"),
            ("CVAT", "annotations.xml", r"COCO|CollectedData"),
            ("YOLO", "yolo", r"COCO|CollectedData"),
            (
                "JABS, poses given as labels",
                "mouse_pose_est_v4.h5",
                r"as DeepLabCut writes it",
            ),
            ("a video given as labels", "mouse.mp4", r"PickFrames|CollectedData"),
        )
    ),
    *(
        refused(of, f'PredictVideos mouse.mp4 --model "{model}" --output {{out}}', way)
        for of, model, way in (
            (
                "DeepLabCut 2, train folder",
                "dlc-models/iteration-0/reachNov3-trainset95shuffle1/train",
                r"ImportModel",
            ),
            (
                "DeepLabCut 3, train folder",
                "dlc-models-pytorch/iteration-0/reachNov3/train",
                r"from_deeplabcut3|ImportModel",
            ),
            (
                "SLEAP-NN, model folder",
                "models/single_instance.n=12",
                r"sleap-nn export|ImportModel",
            ),
            (
                "SLEAP 1.4, Keras model",
                "models/231103.centroid",
                r"SLEAP-NN|ImportModel",
            ),
            (
                "Lightning Pose, model folder",
                "outputs/2026-11-03/10-00-00",
                r"ImportModel",
            ),
            ("YOLO, weights", "yolo11n-pose.pt", r"ImportModel|ONNX"),
            ("ONNX network, not imported", "flat/flat.onnx", r"ImportModel"),
        )
    ),
    refused(
        "ONNX network without description",
        "ImportModel flat/flat.onnx --output {out} --licence CC0",
        r"--description",
    ),
    Try(
        "ONNX network with a map that is always flat",
        "ImportModel flat/flat.onnx --description flat/flat.json --output {out}"
        " && PredictVideos mouse.mp4 --model {out} --output {out}/predicted",
        ("/predicted/*.csv",),
    ),
    Try(
        "DeepLabCut poses, exported to all",
        f"ImportRun mouse.mp4 mouse{DLC}.csv --to {{out}} --species 'Mus musculus'"
        " && ExportRun {out} --to all --species 'Mus musculus' --sex F --age P90D",
        ("/export/*.nwb", "/export/*.slp"),
    ),
    Try(
        "SLEAP poses, analysed with plots and report",
        "ImportRun mouse.mp4 mouse.predictions.slp --to {out}"
        " && AnalyseRuns {out} --region 'left = circle 40 20 15' --table {out}.xlsx"
        " --report {out}.html",
        (".xlsx", ".html"),
    ),
    refused(
        "SLEAP, analysis file given as a run",
        "AnalyseRuns mouse.analysis.h5",
        r"ImportRun",
    ),
    refused(
        "DeepLabCut project given as a run",
        "ExportRun reach-me-2026-11-03 --to nwb",
        r"not a run folder",
    ),
    refused(
        "DeepLabCut project given as a bundle",
        "VerifyBundle reach-me-2026-11-03",
        r"not .*bundle|no bundle|bundle",
    ),
    Try(
        "DeepLabCut poses, rendered",
        f"RenderVideo mouse.mp4 --poses mouse{DLC}.csv --output {{out}}",
        ("/*",),
    ),
    Try(
        "DeepLabCut poses, boxes of Lightning Pose",
        f"CropFrames boxes mouse{DLC}.csv --output {{out}}",
        ("/*bbox*.csv",),
    ),
    refused(
        "settings file of another program",
        "ImportSettings lightning/config.yaml --output {out}.ini",
        r"DeepLabStream|settings",
    ),
    Try(
        "real: openfield, settings recommended",
        "RecommendSettings {data}/openfield --output {out}.yaml",
        (".yaml",),
    ),
    Try("real: mirror-mouse, labels checked", "CheckLabels {data}/mirror-mouse"),
    Try(
        "real: SLEAP's flies, two tracks",
        "ImportRun {data}/sleap/clip.mp4 {data}/sleap/clip.slp --to {out} --video reference",
        ("/run.json",),
    ),
    Try(
        "real: three mice of MABe",
        "ImportRun {data}/three-mice/*.mp4 {data}/three-mice/poses.csv --to {out}"
        " --video reference",
        ("/run.json",),
    ),
    Try(
        "real: 8 fish, frames to label",
        "PickFrames {data}/fish-8/test_A.avi --into {out} --count 5",
        ("/*",),
    ),
    Try(
        "real: IBL, five networks of a pupil",
        "SmoothEnsemble --pupil --output {out}.csv --tables {data}/ibl-pupil/*.csv",
        (".csv",),
    ),
    Try(
        "real: sleap-anipose, proofread analysis file",
        "ImportRun {data}/3d-mouse-video/minimal_session/back/minimal_back.mp4"
        " {data}/3d-mouse-video/minimal_session/back/minimal_back_proofread.analysis.h5"
        " --to {out} --video reference",
        ("/run.json",),
    ),
    Try(
        "real: JABS' sample beside a video of other mice",
        "ImportRun {data}/three-mice/*.mp4 {data}/jabs/sample_pose_est_v5.h5 --to {out}",
        refused=r"has 1800 frames and .* has \d+",
    ),
]
