"""What the daemon does for each command of the control socket."""
