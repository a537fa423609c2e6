"""Camera drivers, one kind per file."""

from deeplabstream.plugin import plugin_path

__path__ = plugin_path(__path__, __name__)
