"""The paper broker, its book, and the gate before it."""
