"""Public names for notebooks and scripts, in alphabetical order of their modules.

Each name is declared here only: `deeplabstream/__init__.py` reads this file.
"""

from deeplabstream.analysis.analyse import RunResults as RunResults
from deeplabstream.analysis.analyse import analyse as analyse
from deeplabstream.analysis.group_statistics import GroupComparison as GroupComparison
from deeplabstream.analysis.group_statistics import StudyOptions as StudyOptions
from deeplabstream.analysis.group_statistics import compare_groups as compare_groups
from deeplabstream.analysis.options import AnalysisOptions as AnalysisOptions
from deeplabstream.analysis.plot_style import PlotOptions as PlotOptions
from deeplabstream.analysis.plot_style import save_plot as save_plot
from deeplabstream.analysis.plots import group_plot as group_plot
from deeplabstream.analysis.plots import plot as plot
from deeplabstream.analysis.report import write_run_report as write_run_report
from deeplabstream.analysis.report import write_study_report as write_study_report
from deeplabstream.analysis.study import Study as Study
from deeplabstream.analysis.study import analyse_runs as analyse_runs
from deeplabstream.api.corrections import correct as correct
from deeplabstream.api.corrections import frames_between as frames_between
from deeplabstream.api.corrections import frames_until as frames_until
from deeplabstream.api.corrections import uncertain_places as uncertain_places
from deeplabstream.api.corrections import undo_correction as undo_correction
from deeplabstream.api.decisions import replay as replay
from deeplabstream.api.evaluation import evaluate as evaluate
from deeplabstream.api.live_session import Session as Session
from deeplabstream.api.networks import load_model as load_model
from deeplabstream.api.networks import predict as predict
from deeplabstream.api.pose_arrays import PoseArrays as PoseArrays
from deeplabstream.api.recorded_run import RecordedRun as RecordedRun
from deeplabstream.api.recorded_run import open_run as open_run
from deeplabstream.core.journal_entries import Step as Step
from deeplabstream.offline.run_import import ImportedRun as ImportedRun
from deeplabstream.offline.run_import import ImportOptions as ImportOptions
from deeplabstream.offline.run_import import import_run as import_run
from deeplabstream.recording.run_catalogue import RunCatalogue as RunCatalogue
from deeplabstream.recording.run_catalogue import RunQuery as RunQuery
from deeplabstream.recording.uncertain_places import UncertainPlace as UncertainPlace
from deeplabstream.training.train_config import TrainConfig as TrainConfig
from deeplabstream.training.training_job import Trained as Trained
from deeplabstream.training.training_job import train as train
