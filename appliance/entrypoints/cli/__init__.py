"""The `seedbox` command."""
