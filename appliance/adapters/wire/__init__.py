"""The market's wire protocol: BEP 3 handshake and BEP 10 extension messages over TCP."""
