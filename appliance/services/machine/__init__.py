"""Looking after the machine: limits, volumes, the home's uplink, issues."""
