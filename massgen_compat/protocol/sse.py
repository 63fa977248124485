"""Server-sent events as OpenAI's chat streams use them: ``data:`` lines only, bare LF, UTF-8.

No comments and no named events: some clients do not count the former as life and many break at
the latter.
"""

from collections.abc import Mapping
from typing import Any, Final

from massgen_compat.errors import MassGenError
from massgen_compat.protocol import body
from massgen_compat.protocol.errors import stream_error

DONE: Final = b"data: [DONE]\n\n"


def encode(chunk: Mapping[str, Any]) -> bytes:
    """One event that carries the chunk on a single line."""
    return b"data: " + body.encode(chunk) + b"\n\n"


def encode_error(error: MassGenError) -> bytes:
    """The event that ends a stream which failed after its first chunk."""
    return encode(stream_error(error))
