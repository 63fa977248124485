"""The site's own part: pages for files outside ``docs/``, and a look at what it would load.

The documents link to programs, configs and the changelog where they are (``../examples/chat.py``),
which is right where the repository is read. On the site each of those is a page.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
SHOWN = {".py": "python", ".yaml": "yaml"}
FOLDERS = ("examples", "configs")

logger = get_plugin_logger("massgen-compat")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each document, program and config that stands outside ``docs/``."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text.replace("](docs/", "](")))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*")):
            if language := SHOWN.get(path.suffix):
                code = path.read_text(encoding="utf-8")
                text = f"# {folder}/{path.name}\n\n```{language}\n{code}```\n"
                files.append(File.generated(config, f"{folder}/{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links out of ``docs/`` to those pages."""
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(
        r"\]\((?:\.\./)+(examples|configs)/([\w.-]+)\.(?:py|yaml)\)", rf"]({up}\1/\2.md)", markdown
    )
    for name, target in PAGES.items():
        markdown = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"]({up}{target}", markdown)
    return markdown


def on_post_build(config: Any) -> None:
    """Refuse a site that loads anything from another host; list the links that leave it."""
    left: set[str] = set()
    for path in Path(config["site_dir"]).rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", html):
            if "canonical" not in tag and re.search(r'(?:src|href)="(?:https?:)?//', tag):
                raise PluginError(f"{path.name} would load from another host: {tag[:200]}")
        left.update(re.findall(r'<a\b[^>]*href="(https?://[^"]+)"', html))
    listing = Path(config["site_dir"]) / "external-links.txt"
    listing.write_text("".join(f"{link}\n" for link in sorted(left)), encoding="utf-8")
    logger.info(f"{len(left)} links lead to other hosts (not followed): {listing}")
