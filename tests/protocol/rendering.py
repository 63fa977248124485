"""The renderer of a parsed chat request, with ids and time that tests can name."""

from massgen_compat.protocol.chat.render import FINGERPRINT, Renderer
from massgen_compat.protocol.chat.request import ChatRequest


def renderer_of(
    request: ChatRequest, *, created: int = 1, fingerprint: str = FINGERPRINT
) -> Renderer:
    return Renderer(
        request.rendering.options,
        request.run,
        id="chatcmpl-1",
        created=created,
        stream=request.stream,
        fingerprint=fingerprint,
    )
