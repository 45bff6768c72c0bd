"""Stores over SQLAlchemy."""
