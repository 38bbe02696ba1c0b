"""The box's own money: what it holds apart, pays, is paid, and what it knows of its account."""
