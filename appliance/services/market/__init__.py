"""The box in the slot auction, as seller and buyer, and its account at a ledger."""
