"""The version of cnn3, as the metadata of the installed package have it."""

from importlib.metadata import version

__version__ = version("cnn3")
