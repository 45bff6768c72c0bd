"""Tokens that nobody can guess, from the machine's randomness."""

import secrets

_TOKEN_BYTES = 32


def new_token() -> str:
    """Return a new token: 43 characters that may stand in a header and in an address, 256 bits of randomness."""
    return secrets.token_urlsafe(_TOKEN_BYTES)
