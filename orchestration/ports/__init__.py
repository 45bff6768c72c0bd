"""What the service needs from outside, one Protocol a file."""
