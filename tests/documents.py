"""The examples of a document, run as a reader would run them: block after block."""

from __future__ import annotations

import doctest
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def run_examples(path: Path, replaced: Mapping[str, str] | None = None) -> None:
    """Run the Python of a document in one namespace; sessions must print what they show.

    `replaced` has what stands for something that only readers have, such as the address of their
    cluster; each of these must be there.
    """
    text = path.read_text()
    for before, after in (replaced or {}).items():
        assert before in text, f"{path.name} has no {before}"
        text = text.replace(before, after)
    namespace: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for match in _BLOCK.finditer(text):
        code = textwrap.dedent(match[2])
        line = text[: match.start(2)].count("\n")
        name = f"{path.name}:{line + 1}"
        if code.lstrip().startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, namespace, name, str(path), line)
            runner.run(test, clear_globs=False)
            namespace.update(test.globs)
        else:
            exec(compile("\n" * line + code, str(path), "exec"), namespace)
    assert runner.failures == 0
