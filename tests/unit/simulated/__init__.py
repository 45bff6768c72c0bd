"""Tests of simulated time."""
