"""The machine itself, read from /proc, /sys and psutil: the only room that touches hardware."""
