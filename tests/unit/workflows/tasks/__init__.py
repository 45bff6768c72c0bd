"""Tests of the built-in task types."""
