"""Making foreign text fit to be shown in an error, a header or a trace: bounded and encodable."""


def encodable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, so that it always encodes as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shorten(text: str, limit: int) -> str:
    """The text on one line, cut to ``limit`` characters; only its beginning is looked at."""
    line = " ".join(encodable(text[: 4 * limit]).split())
    shown = "".join(character if character.isprintable() else "�" for character in line)
    if len(shown) <= limit and len(text) <= 4 * limit:
        return shown
    return shown[: limit - 1].rstrip() + "…"
