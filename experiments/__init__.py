"""Experiments and triggers; a lab adds its own files here."""

from deeplabstream.plugin import plugin_path

__path__ = plugin_path(__path__, __name__)
