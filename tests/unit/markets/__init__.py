"""Prices: histories, paths and what the desk is shown of them."""
