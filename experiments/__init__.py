"""Experiments and triggers, one kind per file; a lab adds files of its own."""

from deeplabstream.plugin import plugin_path

__path__ = plugin_path(__path__, __name__)
