"""Answers that are JSON already: sent as they are, documented by a schema beside."""

import orjson
from fastapi import Response


class Document(Response):
    """A JSON object."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return ``content`` as JSON."""
        return orjson.dumps(content, option=orjson.OPT_UTC_Z)
