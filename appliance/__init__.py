"""Firmware of the Seedbox appliance: seeds torrents, quietly and for years."""

__version__ = "0.1.0"
