"""What comes into the catalogue: the watch folder, downloads of .torrent files, shared folders."""
