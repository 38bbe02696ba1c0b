"""The auction in virtual time: thousands of bidders against the real clearing, pacing, reserve and leases."""
