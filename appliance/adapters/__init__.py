"""One folder for each outside thing, which nothing else in the product touches."""
