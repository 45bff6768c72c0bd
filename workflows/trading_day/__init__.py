"""The day plan, and stage definitions as data."""
