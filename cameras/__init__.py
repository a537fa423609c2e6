"""Where frames come from: one driver a file."""

from deeplabstream import plugin_path

__path__ = plugin_path(__path__, __name__)
