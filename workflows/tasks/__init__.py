"""The built-in task types, one kind a file."""
