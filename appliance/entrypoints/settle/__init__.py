"""`seedbox settle`: the gateway between a ledger and the chain; it alone holds the wallet's key."""
