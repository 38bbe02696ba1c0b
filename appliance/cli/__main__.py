"""`python -m appliance.cli`: the same as the `seedbox` command."""

from appliance.cli.main import main

main()
