"""Simulated time, ids and draws."""
