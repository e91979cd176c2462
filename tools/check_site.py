"""Check a built site: links and anchors within it lead somewhere, and nothing comes from elsewhere.

Usage: check_site.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Where a browser fetches what it shows. A link is followed by people only.
_LOADED = {("link", "href"), ("use", "href"), ("object", "data")}
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """What is to be checked in an HTML page: its anchors, its links and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("src", "srcset", "poster") or (tag, name) in _LOADED:
                self.loaded.append(value or "")
            elif (tag, name) == ("a", "href"):
                self.links.append(value or "")


def problems(site: Path) -> Iterator[str]:
    """Yield a line for each broken link and each thing that is loaded from elsewhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        for target in page.loaded:
            parts = urlsplit(target)
            if parts.netloc or parts.scheme not in ("", "data"):
                yield f"{name}: loads {target}"
            elif not parts.scheme and not (path.parent / unquote(parts.path)).exists():
                yield f"{name}: there is no {target}"
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            linked = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not linked.is_file():
                yield f"{name}: there is no {target}"
            elif parts.fragment and unquote(parts.fragment) not in _anchors(pages, linked):
                yield f"{name}: there is no anchor {target}"
    for path in sorted(site.rglob("*.css")):
        for target in _IN_STYLES.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: loads {target}"


def _anchors(pages: dict[Path, Page], path: Path) -> set[str]:
    return pages[path].anchors | {""} if path in pages else {""}


def main() -> int:
    """Print all problems; return the exit status."""
    site = Path(sys.argv[1]).resolve()
    found = list(problems(site))
    for problem in found:
        print(problem)
    count = sum(1 for _ in site.rglob("*.html"))
    print(f"{count} pages, {len(found)} problems")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
