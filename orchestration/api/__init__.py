"""The doors of the service: HTTP, guarded, with one schema for both sides."""
