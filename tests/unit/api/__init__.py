"""Tests of the HTTP API, its client and the health check."""
