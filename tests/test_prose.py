"""The prose of the sources: how docstrings begin, and words that nobody could look up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support import ROOT

NO_VERB = re.compile(r"(What|Whether|How|Who|Where|When|Why|If|The|An?|It|This|There)\b")
NO_NOUN = re.compile(
    r"(What|Whether|How|Who|Where|When|Why|If|It|This|There|Returns?|Lets?|Tells?|Makes?|Runs?"
    r"|Keeps?|Hands?|Gives?|Writes|Reads|Sends?|Shows?|Adds?|Collects?|Counts of)\b"
)
NO_ATTRIBUTE = re.compile(r"(What|How|Who|Where|When|Why|If|Returns?|Tells?|It|This|There)\b")


def _first_lines(tree: ast.Module) -> Iterator[tuple[str, str, re.Pattern[str]]]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        line = (ast.get_docstring(node) or "").split("\n")[0]
        if isinstance(node, ast.ClassDef):
            yield node.name, line, NO_NOUN
        elif any("property" in ast.unparse(one) for one in node.decorator_list):
            yield node.name, line, NO_ATTRIBUTE
        else:
            yield node.name, line, NO_VERB


def test_docstrings_begin_as_they_should() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}: {line}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for name, line, pattern in _first_lines(ast.parse(path.read_text("utf-8")))
        if pattern.match(line)
    ]
    assert wrong == []


# Words that only those who wrote the first version could know. Each has a standard term in
# docs/architecture.md.
PRIVATE = re.compile(
    r"\b(crews?|staff|hired?|hires|slates?|parcels?|packer|bury|buried|(pop)?tape|faraway"
    r"|neighbours?)\b",
    re.IGNORECASE,
)


def test_no_word_needs_a_key() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for pattern in ("*.py", "*.md")
        for path in sorted((ROOT / "src").rglob(pattern))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert wrong == []
