"""The process that runs the box: builds every object, supervises them, and answers the control socket."""
