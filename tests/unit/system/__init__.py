"""Tests of the wall clock, ids and randomness."""
