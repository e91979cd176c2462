"""The names that other libraries have for things, and what they are called here.

Imported where an error is to be worded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FOR_WORKERS = (
    *("processes", "n_jobs", "njobs", "jobs", "num_workers", "n_workers", "workers"),
    *("threads", "nprocs", "num_proc", "cores"),
)

_OPTIONS = {
    **dict.fromkeys(_FOR_WORKERS, "max_workers"),
    "chunksize": "chunk_size",
    "retry": "retries",
    "max_retries": "retries",
    "callback": "on_complete",
    "return_exceptions": "on_error",
    "desc": "progress",
    "verbose": "progress",
    "kwds": "kwargs",
}

# Options of most maps that some do not need, and one that no map needs.
_NOT_NEEDED = {
    "on_error": "each Outcome says whether its item failed, as ok and error",
    "ordered": "results come in the order of completion here",
    "total": "leave it out: items are counted where they have a length",
}

_POOL_METHODS = {
    "submit": "use pool.imap(func, items): a pool runs maps, no single calls",
    "apply": "use pool.map(func, [item]): a pool runs maps, no single calls",
    "apply_async": "use pool.imap(func, items) for results as they come",
    "map_async": "use pool.imap(func, items) for results as they come",
    "starmap": "use pool.map(func, items, star=True)",
    "starmap_async": "use pool.imap(func, items, star=True)",
    "imap_unordered": "use pool.imap(func, items, ordered=False)",
    "map_unordered": "use pool.map(func, items, ordered=False)",
    "parallel_batch": "use pool.batch(func, items)",
    "shutdown": "use pool.close(), or a with block",
    "terminate": "use pool.close(), which ends workers at once that are idle",
    "join": "close() waits for the workers already",
}


def unknown_option(caller: str, name: str, known: Iterable[str]) -> str:
    """Word the error about an option that there is not."""
    import difflib  # slow to import, and pools are asked for other attributes than these

    alias = _OPTIONS.get(name)
    close = [alias] if alias else difflib.get_close_matches(name, known, n=1)
    if name == "args":
        hint = (
            "for constants pass kwargs={...}, or functools.partial(func, ...) as the function; if "
            "each item holds several arguments, pass star=True"
        )
    elif name in ("backend", "executor", "pool"):
        hint = "imap, outcomes, aimap and Pool take backend; for lists, choose between the maps"
    elif name in _NOT_NEEDED:
        hint = _NOT_NEEDED[name]
    elif close:
        hint = f"did you mean {close[0]!r}?"
    else:
        hint = f"the options are {', '.join(known)}"
    return f"{caller}() got an unknown option {name!r}; {hint}"


def unknown_pool_method(name: str) -> str:
    """Word the error about an attribute that pools do not have."""
    hint = f"; {_POOL_METHODS[name]}" if name in _POOL_METHODS else ""
    return f"'Pool' object has no attribute {name!r}{hint}"
