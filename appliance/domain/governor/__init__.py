"""How much the box may do: rates, connections, slots."""
