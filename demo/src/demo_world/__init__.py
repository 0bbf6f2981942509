"""The upstream world of local runs and tests: it plays the retailer whose data the platform ingests."""
