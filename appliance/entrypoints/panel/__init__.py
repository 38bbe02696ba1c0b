"""The light and the button: a process of its own that talks to the control socket alone."""
