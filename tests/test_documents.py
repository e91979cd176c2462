"""Every Python example in the documents and docstrings runs, and shows what it really prints."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import metainformant
from tests.documents import FLAGS, run_examples

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "metainformant" / "core" / "parallel"
# Run where what they talk to is: test_services.py, backends/clusters/test_dask.py and test_ray.py.
ELSEWHERE = {"services.md", "dask.md", "ray.md"}
DOCUMENTS = sorted(
    path
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    if "```python" in path.read_text() and path.name not in ELSEWHERE
)
PROSE = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *PACKAGE.glob("**/*.md")])


# What examples show the use of, and not every environment has.
_OF_OTHERS = {"fastapi", "joblib", "mpire", "numpy", "pandas", "pebble", "pyarrow", "sklearn"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a document run in order, in one namespace, from the root of the project."""
    monkeypatch.chdir(ROOT)
    try:
        run_examples(path)
    except ModuleNotFoundError as error:
        if error.name not in _OF_OTHERS:
            raise
        pytest.skip(f"needs {error.name}")


# What modules of ours import at their top that only those have who use them.
_OF_EXTRAS = {"distributed", "ray"}


def _modules() -> list[str]:
    package = metainformant
    names = [name for _, name, _ in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [package.__name__, *names]


def _examples_in(tree: ast.Module) -> int:
    """Count the examples in all docstrings of the source, whether doctest finds them or not."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return sum(len(doctest.DocTestParser().get_examples(text)) for text in texts)


@pytest.mark.parametrize("name", _modules())
def test_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in _OF_EXTRAS:
            raise
        pytest.skip(f"needs {error.name}")
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    tests = doctest.DocTestFinder(recurse=False).find(module, name)
    # What is public names another module as its own, so doctest can't find it by itself.
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, definitions)}
    for thing in sorted(names):
        tests += doctest.DocTestFinder().find(getattr(module, thing), thing, module)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in tests:
        runner.run(test)
    assert runner.failures == 0
    assert runner.tries == _examples_in(tree)


def test_every_guarantee_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > 40
    for file, function in named:
        source = (ROOT / "tests" / file).read_text()
        assert f"def {function}(" in source, f"{file} has no {function}"


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target, _, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)(#([^)]*))?\)", path.read_text()):
        linked = path.parent / target if target else path
        assert linked.exists(), f"there is no {target}"
        if anchor:
            assert anchor in _anchors(linked), f"{linked.name} has no heading {anchor}"


def test_figures_are_those_that_were_measured() -> None:
    """After new benchmarks, the figures in the README have to be brought up to date."""
    benchmarks = ROOT / "docs" / "benchmarks.md"
    sections = re.split(r"^#+ ", benchmarks.read_text(), flags=re.MULTILINE)[1:]
    chapters = {_anchor(section.split("\n", 1)[0]): section for section in sections}
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| \[.*?\]\(docs/benchmarks\.md#(.*?)\) \|(.*)", text, re.MULTILINE)
    assert len(rows) > 5
    for anchor, cells in rows:
        for figure in re.findall(r"\d[\d,.]* \w+", cells):
            assert f"| {figure} |" in chapters[anchor], f"{anchor}: {figure} was not measured"
    ratios = re.findall(r"\(docs/benchmarks\.md#([^)]*)\)[^|(]*? (\d[\d.]*) times", text)
    assert len(ratios) >= 2
    for anchor, ratio in ratios:
        ours = re.search(r"^\| metainformant \|.*", chapters[anchor], re.MULTILINE)
        assert ours, anchor
        assert f"| {ratio} |" in ours[0], f"{anchor}: {ratio} was not measured"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    """Return the anchor that a code host gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path: Path) -> None:
    """Code moves; documents that name its files have to follow."""
    bases = (ROOT, PACKAGE, PACKAGE / "backends", ROOT / "tests", path.parent)
    for name in re.findall(r"`([\w./-]+(?:\.py|\.md|/))`", path.read_text()):
        assert any((base / name).exists() for base in bases), f"there is no {name}"


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    checked = next(
        contract["layers"]
        for contract in contracts["contracts"]
        if contract["name"] == "layers of the parallel package"
    )
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index("## Layers") : text.index("## Words")]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    documented = [{Path(name).stem for name in re.findall(r"`(.+?)`", row)} for row in rows]
    assert documented == [set(layer.split(" | ")) for layer in checked]


def test_the_words_can_be_learnt() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index("## Words") : text.index("## The life of an item")]
    heads = re.findall(r"^\| (?!---|word )(.+?) \|", section, re.MULTILINE)
    words = [word for head in heads for word in head.split(", ")]
    assert 20 <= len(words) <= 40
    assert len(words) == len(set(words))


def test_each_how_to_is_listed() -> None:
    listed = (ROOT / "docs" / "README.md").read_text()
    for path in sorted((ROOT / "docs" / "howto").glob("*.md")):
        assert f"(howto/{path.name})" in listed


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [project["version"]]
    changes = (ROOT / "CHANGELOG.md").read_text()
    latest = changes.split("\n## [", 2)[1]
    if latest.startswith("Unreleased]"):
        assert f"This will be {project['version']}" in latest
    else:
        assert latest.startswith(f"{project['version']}]")


def test_the_workflows_run_targets_of_make_and_nothing_else() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    workflows = [path.read_text() for path in sorted(ROOT.glob(".github/workflows/*.yml"))]
    commands = [run for text in workflows for run in re.findall(r"^ *- run: (.*)", text, re.M)]
    assert len(commands) >= 5
    for command in commands:
        made = re.fullmatch(r"make ([\w-]+)( [A-Z]+=\w*)*", command)
        assert made, command
        assert made[1] in targets, command
