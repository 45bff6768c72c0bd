"""What needs pandas: performance figures."""
