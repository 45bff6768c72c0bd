"""Logs and progress: subscribers of events, never called by the core."""
