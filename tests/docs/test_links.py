"""Every link between our pages leads somewhere."""

from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page: Path) -> None:
    """To a file that is there, and to a heading in it."""
    relative = [link for link in links(page) if "://" not in link]

    broken = [link for link in relative if not _leads_somewhere(page, link)]

    assert [] == broken


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))
