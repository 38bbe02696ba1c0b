"""The slot auction: selling upload slots, and bidding for them elsewhere. Pure rules."""
