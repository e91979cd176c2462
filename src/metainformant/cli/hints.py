"""What limited a run, in the words of the command."""

from __future__ import annotations

from metainformant.core import parallel

# What the package calls what the command has as options.
_NAMES = {
    "process_map": "--backend process",
    "thread_map": "--backend thread",
    "parallel_batch": "--batch-size",
    "inner_threads=1": "OMP_NUM_THREADS=1",
    "buffer_size": "--buffer",
}


def limit_in_words(limit: parallel.Limit) -> str | None:
    """Return a line for the summary; None if nothing can be told."""
    if limit.kind == "unknown":
        return None
    sentence = limit.sentence
    for name, option in _NAMES.items():
        sentence = sentence.replace(name, option)
    return f"limit: {sentence}"
