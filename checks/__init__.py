"""What ``make check`` asks about the house itself; run from the project's root."""
