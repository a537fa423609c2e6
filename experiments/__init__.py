"""What to ask of a pose and what to do: the folder that a lab adds files to."""

from deeplabstream import plugin_path

__path__ = plugin_path(__path__, __name__)
