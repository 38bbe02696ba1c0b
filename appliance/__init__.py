"""Firmware of the Seedbox appliance: seeds torrents, quietly and for years."""

from importlib.metadata import version

__version__ = version("seedbox-appliance")
