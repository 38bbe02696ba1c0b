"""The control socket, over which the processes talk to each other: commands, answers, client and server."""
