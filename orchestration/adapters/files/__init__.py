"""The operator's files in the home, read and checked."""
