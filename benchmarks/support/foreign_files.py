"""Files as other programs write them: videos, poses, labels, networks and damaged ones.

Packages of those programs write what they can (sleap-io, movement, pandas); the rest is
written as their documentation shows it. All poses are `TRUTH`.
"""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import h5py
import numpy as np
import pandas as pd

FRAMES, WIDTH, HEIGHT = 24, 96, 64
PARTS = ("nose", "left ear", "tail")
SCORER = "DLC_resnet50_reachNov3shuffle1_50000"


def truth(animals: int, parts: int = len(PARTS)) -> Any:
    """Return points (frame, animal, bodypart, 2), whole pixels; x and y differ."""
    frame, animal, part = np.ogrid[:FRAMES, :animals, :parts]
    x = 30 + frame + 20 * animal + 2 * part
    y = 10 + 0 * frame + 12 * animal + part
    return np.stack(np.broadcast_arrays(x, y), axis=-1).astype(np.float64)


def image(number: int) -> Any:
    """Return an image (h, w, 3) in which a square moves."""
    shown = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    shown[8:20, 28 + number : 44 + number] = 230
    return shown


def video(
    path: Path,
    codec: str,
    pixels: str = "yuv420p",
    rate: Fraction | int = 30,
    **more: Any,
) -> None:
    """Write a video of `FRAMES` frames; `size` of `more` is width and height."""
    width, height = more.pop("size", (WIDTH, HEIGHT))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for number in range(FRAMES):
            shown = np.ascontiguousarray(image(number)[:height, :width])
            frame = av.VideoFrame.from_ndarray(shown, "bgr24").reformat(format=pixels)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_videos(folder: Path) -> None:
    """Write videos of many codecs, rates, names and sizes, and damaged ones."""
    video(folder / "mouse.mp4", "libx264")
    video(folder / "Käfig 1 – Maus ñ.avi", "mjpeg", "yuvj420p")
    video(folder / "日本/鼠 (2).mkv", "libx265", rate=1000)
    video(folder / "slow.webm", "libvpx-vp9", rate=Fraction(1, 2))
    video(folder / "sixteen.mkv", "ffv1", "gray16le")
    video(folder / "animated.gif", "gif", "rgb8")
    video(folder / "windows.wmv", "wmv2")
    video(folder / "odd.avi", "mpeg4", size=(63, 47))
    video(folder / "ntsc.mov", "libx264", "yuv444p", Fraction(30000, 1001))
    video(folder / "phone.mp4", "libx264")
    turn_by_90(folder / "phone.mp4")
    whole = (folder / "mouse.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("this is no video\n" * 50)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        for _ in range(20):
            silence = np.zeros((1, 1024), np.float32)
            sound = av.AudioFrame.from_ndarray(silence, "fltp", layout="mono")
            sound.sample_rate = 44100
            container.mux(stream.encode(sound))
        container.mux(stream.encode())
    images = folder / "image sequence"
    images.mkdir()
    for number in range(3):
        cv2.imwrite(str(images / f"img{number:04d}.png"), image(number))


def turn_by_90(path: Path) -> None:
    """Write a rotation of 90 degrees into the display matrix of an MP4 file."""
    content = path.read_bytes()
    flat = np.array([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000], ">i4").tobytes()
    turned = np.array(
        [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000], ">i4"
    ).tobytes()
    at = content.index(flat, content.index(b"tkhd"))
    path.write_bytes(content[:at] + turned + content[at + len(flat) :])


def dlc_table(animals: int, scores: bool = True) -> Any:
    """Return a table as DeepLabCut's."""
    points = truth(animals)
    coords = ["x", "y", "likelihood"] if scores else ["x", "y"]
    names = ["scorer", "individuals", "bodyparts", "coords"]
    levels = [[SCORER], [f"mus{n + 1}" for n in range(animals)], PARTS, coords]
    if animals == 1:
        del names[1], levels[1]
    sure = np.full((*points.shape[:3], 1), 0.95)
    values = np.concatenate([points, sure], axis=3) if scores else points
    columns = pd.MultiIndex.from_product(levels, names=names)
    return pd.DataFrame(values.reshape(FRAMES, -1), columns=columns)


def sleap_labels(animals: int, path: Path, tracked: bool = True) -> Any:
    """Return labels of sleap-io: predictions with tracks, or labels placed by a user."""
    import sleap_io as sio

    skeleton = sio.Skeleton([*PARTS], edges=[(0, 1), (1, 2)], name="mouse")
    film = sio.Video.from_filename(str(path))
    tracks = [sio.Track(f"mus{n + 1}") for n in range(animals)]
    frames = []
    for place, poses in enumerate(truth(animals)):
        if tracked:
            found = [
                sio.PredictedInstance.from_numpy(
                    pose, skeleton=skeleton, point_scores=np.full(len(PARTS), 0.95),
                    score=0.95, track=track, tracking_score=0.9,
                )
                for pose, track in zip(poses, tracks, strict=True)
            ]  # fmt: skip
        else:
            found = [sio.Instance.from_numpy(pose, skeleton=skeleton) for pose in poses]
        frames.append(sio.LabeledFrame(video=film, frame_idx=place, instances=found))
    return sio.Labels(frames, videos=[film], tracks=tracks, skeletons=[skeleton])


def write_poses(folder: Path) -> None:
    """Write predicted poses of `mouse.mp4`."""
    import sleap_io as sio
    from movement.io import load_poses, save_poses

    one, two = dlc_table(1), dlc_table(2)
    one.to_csv(folder / f"mouse{SCORER}.csv")
    one.to_hdf(folder / f"mouse{SCORER}.h5", key="df_with_missing", format="table")
    two.to_csv(folder / f"mouse{SCORER}_el_filtered.csv")
    two.to_hdf(folder / f"mouse{SCORER}_el.h5", key="df_with_missing", format="table")
    one.iloc[:20].to_csv(folder / "short.csv")
    half = one.to_csv().splitlines()
    (folder / "half.csv").write_text("\n".join([*half[:12], half[12][:20]]))
    (folder / "header.csv").write_text("\n".join(half[:3]) + "\n")
    (folder / "full.pickle").write_bytes(b"\x80\x04\x95garbage")
    mixed = folder / "spreadsheet.csv"
    mixed.write_text(one.to_csv(sep=";", decimal=","), "utf-16")

    dataset = load_poses.from_dlc_style_df(one, fps=30)
    save_poses.to_lp_file(dataset, folder / "lightning pose.csv")
    save_poses.to_sleap_analysis_file(dataset, folder / "movement.analysis.h5")
    dataset.to_netcdf(folder / "movement.nc", engine="scipy")

    two_tracks = sleap_labels(2, folder / "mouse.mp4")
    sio.save_slp(two_tracks, str(folder / "mouse.predictions.slp"), verbose=False)
    sio.save_analysis_h5(two_tracks, str(folder / "mouse.analysis.h5"))
    sio.save_csv(two_tracks, str(folder / "mouse.sleap.csv"), include_score=True)
    sio.save_nwb(sleap_labels(1, folder / "mouse.mp4"), folder / "poses.nwb")
    write_jabs(folder)

    # International Brain Laboratory: a Parquet table, and times beside it.
    columns = {}
    for number, part in enumerate(["nose_tip", "paw_l"]):
        for axis, coord in enumerate("xy"):
            columns[f"{part}_{coord}"] = truth(1)[:, 0, number, axis]
        columns[f"{part}_likelihood"] = np.full(FRAMES, 0.95)
    alf = folder / "alf"
    alf.mkdir()
    pd.DataFrame(columns).to_parquet(alf / "_ibl_leftCamera.dlc.pqt")
    np.save(alf / "_ibl_leftCamera.times.npy", np.arange(FRAMES) / 60)


def write_jabs(folder: Path) -> None:
    """Write pose files of JABS, versions 2 to 6; (y, x), as its documentation says."""
    for version in range(2, 7):
        animals = 1 if version == 2 else 2
        points = truth(animals, 12)[..., ::-1].astype(np.uint16)
        with h5py.File(folder / f"mouse_pose_est_v{version}.h5", "w") as file:
            poses = file.create_group("poseest")
            poses.attrs["version"] = np.array([version, 0], np.uint16)
            sure = np.full(points.shape[:3], 0.95, np.float32)
            if version == 2:
                poses["points"], poses["confidence"] = points[:, 0], sure[:, 0]
                continue
            poses["points"], poses["confidence"] = points, sure
            poses["instance_count"] = np.full(FRAMES, 2, np.uint8)
            poses["instance_embedding"] = np.zeros((FRAMES, 2, 12), np.float32)
            poses["instance_track_id"] = np.tile(np.uint32([0, 1]), (FRAMES, 1))
            if version > 3:
                poses["instance_embed_id"] = np.tile(np.uint32([1, 2]), (FRAMES, 1))
                poses["id_mask"] = np.zeros((FRAMES, 2), bool)
                poses["instance_id_center"] = np.zeros((2, 16))
            if version > 4:
                file["static_objects/corners"] = np.zeros((4, 2), np.uint16)
            if version > 5:
                file["poseest/seg_data"] = np.full((FRAMES, 2, 1, 4, 2), -1, np.int32)


def write_other_tables(folder: Path) -> None:
    """Write what is no table of poses: tracks of centres, events, calibrations."""
    rows = [
        '"Header Lines:";"4"',
        '"Arena name";"Arena 1"',
        '"Trial time";"X center"',
        '"s";"cm"',
    ]
    rows += [f"{n / 25:.3f};{10 + n};{5 + n}" for n in range(FRAMES)]
    (folder / "Raw data-Trial 1.txt").write_text("\n".join(rows), "utf-16")
    sheet = pd.DataFrame({"Trial time": np.arange(9) / 25, "X center": np.arange(9)})
    sheet.to_excel(folder / "Raw data-Trial 1.xlsx", index=False)
    (folder / "boris.csv").write_text(
        "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
        "one,mouse,groom,STATE,1.5,2.5\n"
    )
    (folder / "Bonsai.csv").write_text(
        "".join(f"{10 + n}.5,{20 + n}.25,0.1\n" for n in range(FRAMES))
    )
    (folder / "calibration.toml").write_text(
        '[cam_0]\nname = "A"\nsize = [96, 64]\nmatrix = [[1.0, 0.0, 0.0]]\n'
    )
    points = {f"{part}_{axis}": np.arange(FRAMES) for part in PARTS for axis in "xyz"}
    pd.DataFrame(points | {"fnum": range(FRAMES)}).to_csv(folder / "anipose_3d.csv")


def dlc_project(folder: Path, animals: int = 1, name: str = "reach") -> Path:
    """Write a project of DeepLabCut with twelve labelled images."""
    own = folder / "labeled-data" / f"{name} 1"
    own.mkdir(parents=True)
    table = dlc_table(animals, scores=False).iloc[:12]
    paths = [("labeled-data", own.name, f"img{number:03d}.png") for number in range(12)]
    table.index = pd.MultiIndex.from_tuples(paths)
    table.columns = table.columns.set_levels(["me"], level=0)
    table.to_csv(own / "CollectedData_me.csv")
    table.to_hdf(own / "CollectedData_me.h5", key="df_with_missing")
    for number in range(12):
        cv2.imwrite(str(own / f"img{number:03d}.png"), image(number))
    several = (
        "multianimalproject: true\nindividuals: [mus1, mus2]\n"
        "multianimalbodyparts: [nose, left ear, tail]\nuniquebodyparts: []\n"
        "bodyparts: MULTI!\n"
    )
    alone = "multianimalproject: false\nbodyparts: [nose, left ear, tail]\n"
    (folder / "config.yaml").write_text(
        f"Task: {name}\nscorer: me\ndate: Nov3\nproject_path: C:\\Users\\me\\{name}\n"
        f"{several if animals > 1 else alone}skeleton:\n- [nose, left ear]\n"
        f"- [nose, tail]\nvideo_sets:\n  C:\\Users\\me\\{name} 1.avi:\n"
        "    crop: 0, 96, 0, 64\nnumframes2pick: 20\n",
        "utf-8",
    )
    return folder


def lightning_pose_project(folder: Path) -> None:
    """Write a project of Lightning Pose, with its file of settings."""
    images = folder / "labeled-data" / "one"
    images.mkdir(parents=True)
    table = dlc_table(1, scores=False).iloc[:12]
    table.index = [f"labeled-data/one/img{number:03d}.png" for number in range(12)]
    table.to_csv(folder / "CollectedData.csv")
    for number in range(12):
        cv2.imwrite(str(images / f"img{number:03d}.png"), image(number))
    video(folder / "videos" / "one.mp4", "libx264")
    (folder / "config.yaml").write_text(
        "data:\n  image_resize_dims: {height: 128, width: 128}\n"
        f"  data_dir: {folder.as_posix()}\n  video_dir: videos\n"
        "  csv_file: CollectedData.csv\n  downsample_factor: 2\n  num_keypoints: 3\n"
        f"  keypoint_names: {json.dumps(PARTS)}\n"
        "  columns_for_singleview_pca: [0, 1, 2]\n"
        "training:\n  imgaug: dlc\n  train_batch_size: 4\n  val_batch_size: 4\n"
        "  test_batch_size: 4\n  train_prob: 0.8\n  val_prob: 0.1\n  train_frames: 1\n"
        "  num_gpus: 1\n  num_workers: 0\n  rng_seed_data_pt: 0\n  min_epochs: 1\n"
        "  max_epochs: 1\n  unfreezing_epoch: 0\n  log_every_n_steps: 1\n"
        "  check_val_every_n_epoch: 1\n  optimizer: Adam\n"
        "  optimizer_params: {learning_rate: 1e-3}\n  lr_scheduler: multisteplr\n"
        "  lr_scheduler_params: {multisteplr: {milestones: [1], gamma: 0.5}}\n"
        "model:\n  losses_to_use: []\n  backbone: resnet18\n"
        "  backbone_pretrained: false\n  model_type: heatmap\n  heatmap_loss_type: mse\n"
        "  model_name: one\n"
        "eval:\n  predict_vids_after_training: false\n  confidence_thresh_for_vid: 0.9\n"
    )


def write_projects(folder: Path) -> None:
    """Write labels of other programs."""
    import sleap_io as sio

    dlc_project(folder / "reach-me-2026-11-03")
    dlc_project(folder / "Größe – test", name="Öhr")
    dlc_project(folder / "pair-me-2026-11-03", animals=2)
    lightning_pose_project(folder / "lightning")
    bare = dlc_project(folder / "unlabelled")
    shutil.rmtree(bare / "labeled-data")
    (bare / "labeled-data").mkdir()
    lost = dlc_project(folder / "images lost")
    for file in [*lost.rglob("*.png")][:5]:
        file.unlink()
    torn = dlc_project(folder / "torn")
    (torn / "config.yaml").write_text("Task: reach\n  bodyparts: [nose\n: : :\n")

    labels = sleap_labels(1, folder / "mouse.mp4", tracked=False)
    sio.save_slp(labels, str(folder / "labels.slp"), verbose=False)
    sio.save_slp(labels, str(folder / "labels.pkg.slp"), embed="user", verbose=False)
    content = (folder / "labels.pkg.slp").read_bytes()
    (folder / "cut.pkg.slp").write_bytes(content[: len(content) // 3])
    sio.save_labelstudio(labels, str(folder / "label studio.json"))
    coco = folder / "coco"
    (coco / "images").mkdir(parents=True)
    names = [f"img{number:03d}.png" for number in range(FRAMES)]
    for number, name in enumerate(names):
        cv2.imwrite(str(coco / "images" / name), image(number))
    sio.save_coco(labels, str(coco / "person_keypoints.json"), image_filenames=names)
    boxes = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "mouse"}],
    }
    (coco / "instances.json").write_text(json.dumps(boxes))
    shapes = [{"label": "nose", "points": [[3.0, 4.0]], "shape_type": "point"}]
    (folder / "img000.json").write_text(
        json.dumps(
            {
                "version": "5.4.1",
                "flags": {},
                "shapes": shapes,
                "imagePath": "img000.png",
            }
        )
    )
    (folder / "annotations.xml").write_text(
        '<?xml version="1.0"?>\n<annotations><version>1.1</version></annotations>\n'
    )
    yolo = folder / "yolo"
    (yolo / "labels").mkdir(parents=True)
    (yolo / "data.yaml").write_text(
        "train: images\nkpt_shape: [3, 3]\nnames: {0: mouse}\n"
    )


def write_networks(folder: Path) -> None:
    """Write folders of networks as other programs leave them; the weights are empty."""
    train = folder / "dlc-models/iteration-0/reachNov3-trainset95shuffle1/train"
    train.mkdir(parents=True)
    (train / "pose_cfg.yaml").write_text(
        "net_type: resnet_50\nall_joints_names: [nose]\n"
    )
    for ending in ("index", "meta", "data-00000-of-00001"):
        (train / f"snapshot-50000.{ending}").write_bytes(b"\0" * 64)
    torch_train = folder / "dlc-models-pytorch/iteration-0/reachNov3/train"
    torch_train.mkdir(parents=True)
    (torch_train / "pytorch_config.yaml").write_text(
        "method: bu\nnet_type: resnet_50\n"
    )
    (torch_train / "snapshot-200.pt").write_bytes(b"\0" * 64)
    sleap = folder / "models/single_instance.n=12"
    sleap.mkdir(parents=True)
    (sleap / "training_config.yaml").write_text("model_config: {}\ndata_config: {}\n")
    (sleap / "best.ckpt").write_bytes(b"\0" * 64)
    old = folder / "models/231103.centroid"
    old.mkdir(parents=True)
    (old / "training_config.json").write_text('{"model": {"heads": {}}}')
    (old / "best_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 64)
    litpose = folder / "outputs/2026-11-03/10-00-00"
    litpose.mkdir(parents=True)
    shutil.copyfile(folder / "lightning/config.yaml", litpose / "config.yaml")
    (folder / "yolo11n-pose.pt").write_bytes(b"PK\x03\x04" + b"\0" * 64)
    write_flat_maps(folder / "flat")


def write_flat_maps(folder: Path) -> None:
    """Write an ONNX network whose maps are flat, with a description.

    Two maps have a bright square's place as peak, the third is constant: a body part that
    the network never finds.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    folder.mkdir()
    weights = np.zeros((3, 3, 4, 4), np.float32)
    weights[:2] = 0.5 / 48
    bias = np.array([0, 0, 0.001], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[4, 4]),
            helper.make_node("Relu", ["y"], ["maps"]),
        ],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 96])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [1, 3, 16, 24])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    save(model, str(folder / "flat.onnx"))
    description = {
        "bodyparts": [*PARTS],
        "input": {
            "layout": "NCHW", "width": 96, "height": 64, "colour": "RGB",
            "mean": [0, 0, 0], "std": [255, 255, 255],
        },
        "heatmaps": {"output": "maps", "stride": 4, "sigma": 1.25, "values": "mass"},
        "threshold": 0.5,
        "licence": "CC0",
    }  # fmt: skip
    (folder / "flat.json").write_text(json.dumps(description))


WRITERS: list[Callable[[Path], None]] = [
    write_videos,
    write_poses,
    write_other_tables,
    write_projects,
    write_networks,
]
"""In this order: later ones use what earlier ones wrote."""
