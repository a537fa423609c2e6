"""What acts on the animal: one kind of device a file."""

from deeplabstream import plugin_path

__path__ = plugin_path(__path__, __name__)
