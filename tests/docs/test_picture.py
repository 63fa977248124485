"""The picture of the README is what its command prints."""

from tests.docs.picture import PICTURE, draw, shown


def test_the_picture_is_what_the_command_prints() -> None:
    """Line by line, but for their order: agents work at the same time."""
    drawn = PICTURE.read_text(encoding="utf-8")
    assert sorted(shown(drawn)) == sorted(shown(draw()))
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")
