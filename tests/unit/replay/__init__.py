"""Runs that are carried out again."""
