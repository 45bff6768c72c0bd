"""Tests of the files of a desk."""
