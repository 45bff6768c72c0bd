"""The wall clock, ids and randomness: the one place that may ask the machine for them."""
