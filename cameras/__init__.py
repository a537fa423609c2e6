"""Where frames come from: one driver a file."""

from deeplabstream.plugin import plugin_path

__path__ = plugin_path(__path__, __name__)
