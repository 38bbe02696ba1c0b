"""`python -m appliance.entrypoints.cli`: the same as the `seedbox` command."""

from appliance.entrypoints.cli.main import main

main()
