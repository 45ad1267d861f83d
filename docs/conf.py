"""How `make docs` turns the Markdown of this repository into pages; the repository's root is the source folder.

The pages stay plain Markdown: the menu is made from the links in docs/README.md, and a link that is right in the
repository is right in the built pages too. Every warning is an error: a link or an anchor that leads nowhere, a page
that docs/README.md does not list.
"""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

project = "atcaprov"
author = "the atcaprov developers"
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = ["*.md", "examples/*.md", "docs/*.md", "docs/**/*.md"]
exclude_patterns = [".*", ".*/**"]

myst_heading_anchors = 6  # the anchors that GitHub gives to headings
suppress_warnings = ["misc.highlighting_failure"]  # console blocks hold "…" where a page leaves text out
highlight_language = "text"
smartquotes = False  # two hyphens are an option

html_theme = "furo"  # fonts of the reader's system, light and dark
html_title = "atcaprov"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}

BLOCKS_WITHOUT_A_LEXER = ("cddl", "compressed", "hex", "layers")
SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
LINK_TO_A_PAGE = re.compile(r"\]\((?!https?:)([^)#]+\.md)\)")
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]+)|url\((https?:[^)]+)")
FIRST_PAGE = '<!doctype html><meta charset="utf-8"><title>Pages</title><meta http-equiv="refresh" content="0;url={}">'


def add_menu(_: Sphinx, page: str, source: list[str]) -> None:
    """Give the index page a menu: one part for each of its sections, one entry for each page linked there."""
    if page != root_doc:
        return
    for title, text in SECTION.findall(source[0]):
        pages = "\n".join(dict.fromkeys(LINK_TO_A_PAGE.findall(text)))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def finish(app: Sphinx, failure: Exception | None) -> None:
    """Write the first page; refuse pages that would load anything from another host."""
    if failure is not None:
        return
    site = Path(app.outdir)
    (site / "index.html").write_text(FIRST_PAGE.format(f"{root_doc}.html"), encoding="utf-8")
    for file in (*site.rglob("*.html"), *site.rglob("*.css")):
        loaded = LOADED.search(file.read_text(encoding="utf-8"))
        if loaded is not None:
            raise ExtensionError(f"{file.relative_to(site)} loads {loaded[1] or loaded[2]}: pages need no network.")


def setup(app: Sphinx) -> None:
    """Connect the above."""
    for language in BLOCKS_WITHOUT_A_LEXER:
        app.add_lexer(language, TextLexer)
    app.connect("source-read", add_menu)
    app.connect("build-finished", finish)
