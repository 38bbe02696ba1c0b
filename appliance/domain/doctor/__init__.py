"""What is wrong with this machine, and how to mend it: rules over facts that others have gathered."""
