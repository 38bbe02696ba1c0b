"""`seedbox ledger`: the ledger's service for everybody who keeps an account in it."""
