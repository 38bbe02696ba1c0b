"""What the processes say to each other over the control socket: commands, answers, and the client."""
