"""The client of a ledger over HTTP, and the messages of its protocol."""
