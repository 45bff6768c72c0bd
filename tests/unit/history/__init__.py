"""What is deleted of the past."""
