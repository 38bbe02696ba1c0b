"""Which torrents the box holds, and the state that each is in: rules only, no libtorrent, no disk."""
