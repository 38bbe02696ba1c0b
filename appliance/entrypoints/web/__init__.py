"""The status page: a process of its own that knows the box through the control socket alone."""
