"""libtorrent: the only room that imports it."""
