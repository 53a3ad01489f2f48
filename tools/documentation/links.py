"""What pages of HTML would fetch from elsewhere."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

FETCHING = {"script": "src", "img": "src", "audio": "src", "source": "src", "iframe": "src", "link": "href"}
NAMING = ("canonical", "alternate", "prev", "next")
"""Relations of a link that name a place and fetch nothing."""


class _Fetched(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        address = named.get(FETCHING.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")) and named.get("rel") not in NAMING:
            self.addresses.append(address)


def fetched(html: str) -> list[str]:
    """Addresses that a page loads from elsewhere; links that a reader may follow are none.

    >>> fetched('<a href="https://a.org">a</a><script src="https://b.org/b.js"></script><img src="c.png">')
    ['https://b.org/b.js']
    """
    parser = _Fetched()
    parser.feed(html)
    return parser.addresses


def foreign(folder: Path) -> list[tuple[str, str]]:
    """Pages below a folder, each with an address that it loads from elsewhere."""
    return list(_foreign(folder))


def _foreign(folder: Path) -> Iterator[tuple[str, str]]:
    for page in sorted(folder.rglob("*.html")):
        for address in fetched(page.read_text(encoding="utf-8")):
            yield page.relative_to(folder).as_posix(), address
