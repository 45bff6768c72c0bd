"""What can be asked over HTTP, one subject a file."""
