"""The mathematics that agents, nodes and triggers share; no I/O."""
