"""Configurations of Lightning Pose."""

CONFIG = """
data:
  image_resize_dims: {height: 128, width: 128}
  keypoint_names: [nose, paw, tail]
  downsample_factor: 2
model:
  model_type: heatmap
  backbone: resnet18
  lightning_pose_version: 2.4.3
"""
"""Of a trained network."""
PROJECT_CONFIG = """
data:
  image_resize_dims: {height: 64, width: 64}
  data_dir: .
  video_dir: videos
  csv_file: CollectedData.csv
  num_keypoints: 2
  keypoint_names: [leftear, rightear]
  mirrored_column_matches: [[0], [1]]
training:
  imgaug: dlc
  train_batch_size: 4
  train_prob: 0.5
  val_prob: 0.25
  unfreezing_epoch: 1
  max_epochs: 2
  check_val_every_n_epoch: 1
  rng_seed_data_pt: 0
  optimizer_params: {learning_rate: 1.0e-3}
  lr_scheduler_params: {multisteplr: {milestones: [1], gamma: 0.5}}
  profiler: simple
model:
  losses_to_use: []
  backbone: unet
  backbone_pretrained: false
  model_type: heatmap
  heatmap_loss_type: mse
  model_name: dots
losses:
  temporal: {log_weight: 5.0, epsilon: 20.0, prob_threshold: 0.05}
  pca_singleview: {log_weight: 5.0, components_to_keep: 2, epsilon: 3.0}
  pca_multiview: {log_weight: 5.0}
callbacks:
  anneal_weight: {init_val: 0.5, freeze_until_epoch: 0}
dali:
  base: {train: {sequence_length: 4}}
eval: {fiftyone: {dataset_name: dots}}
"""
"""Of the project that the fixture `labelled` is."""
