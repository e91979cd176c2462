"""The site: how Sphinx makes one of the Markdown in this repository.

The sources of the site are the root of the repository, not this folder, so that a link from here
to CONTRIBUTING.md, or to a README beside the code, leads to the same page on the site as on a code
host. The Markdown knows nothing of Sphinx: the navigation is written here, and added when a page is
read.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "metainformant.core.parallel"
author = "the metainformant developers"
project_copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# The pages of each section, in the order in which they are read. A pattern stands for what is not
# listed by name; a page that is not there yet is passed over.
NAVIGATION = {
    "docs/README": {
        "Start": ["README", "docs/start"],
        "How-to": [
            "docs/services",
            "docs/howto/sequences",
            "docs/howto/programs",
            "docs/howto/shared-index",
            "docs/howto/numpy",
            "docs/howto/scikit-learn",
            "docs/howto/random-numbers",
            "docs/howto/pandas",
            "docs/howto/databases",
            "docs/howto/notebooks",
            "docs/howto/asyncio",
            "docs/howto/pytest",
            "docs/howto/nightly",
            "docs/howto/resume",
            "docs/howto/slurm",
            "docs/howto/dask",
            "docs/howto/ray",
            "docs/howto/coming-from",
            "docs/howto/*",
        ],
        "Reference": [
            "docs/options",
            "docs/reference/options-table",
            "docs/reference/api",
            "docs/reference/errors",
            "docs/command-line",
            "docs/reference/command-help",
            "docs/reference/formats",
            "docs/checkpoints",
            "docs/clusters",
            "docs/async",
            "docs/report",
            "docs/reference/*",
        ],
        "Explanation": [
            "docs/which-workers",
            "docs/architecture",
            "docs/design",
            "docs/guarantees",
            "docs/benchmarks",
            "docs/decisions/README",
            "src/metainformant/core/parallel/engine/README",
            "src/metainformant/core/parallel/backends/isolated/README",
            "src/metainformant/core/parallel/backends/clusters/README",
        ],
        "Project": ["CHANGELOG", "CONTRIBUTING", "SECURITY", "examples/data/README"],
    },
    "docs/decisions/README": {"Decisions": ["docs/decisions/*"]},
}
# What the navigation calls a page, where that is not its heading.
TITLES = {"README": "Overview"}

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/README"
include_patterns = ["*.md", "docs/**.md", "src/**.md", "examples/**.md"]
exclude_patterns = [".*", "dist", "build", "benchmarks", "tests", "**/__pycache__"]
nitpicky = True
nitpick_ignore = [("py:class", "T"), ("py:class", "R")]  # type variables, of an item and a result

# Headings have the anchors that code hosts give them.
myst_heading_anchors = 4

# Docstrings write code in single backticks, and say their types in words: the annotations of what
# is overloaded are for type checkers.
default_role = "literal"
smartquotes_action = "D"  # dashes only: quotes are mostly those of code
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Options", "params_style")]
add_module_names = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "metainformant.core.parallel"
html_copy_source = False
html_show_sphinx = False
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
# The root of the site leads to its first page.
html_additional_pages = {"index": "to_first_page.html"}
html_theme_options = {"navigation_with_keys": True}


def _listed(patterns: list[str]) -> Iterator[str]:
    """Yield the pages that are there, each once; a pattern leaves out pages with a list below."""
    seen = set()
    for pattern in patterns:
        for path in sorted(ROOT.glob(f"{pattern}.md")):
            page = path.relative_to(ROOT).with_suffix("").as_posix()
            if page not in seen and (page == pattern or page not in NAVIGATION):
                seen.add(page)
                yield page


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append to a page the list of those below it."""
    for caption, patterns in NAVIGATION.get(page, {}).items():
        entries = "\n".join(
            f"{TITLES[entry]} </{entry}>" if entry in TITLES else f"/{entry}"
            for entry in _listed(patterns)
        )
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_navigation)
