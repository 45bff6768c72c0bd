"""Results that are reused."""
