"""The rows of data frames, which iterate over their columns.

Frames are known by what they can do, so no library is imported for that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# So many rows of pandas are made into dicts at once.
_ROWS = 1024
# What tables have whose plain iteration gives columns or nothing, and how to get their rows: the
# lazy frames of Polars, and the tables of pyarrow.
_OTHER_TABLES = (("collect_schema", "items.collect()"), ("to_pylist", "items.to_pylist()"))


def rows_of(caller: str, items: Any, *, star: bool) -> Iterable[Any] | None:
    """Return the rows of a data frame of pandas or Polars; None for anything else.

    Rows are dicts of values by the names of their columns; with `star`, tuples of values.

    Raises:
        TypeError: for a table of another kind, whose iteration would give no rows.
        ValueError: if two columns have one name, so that a dict would lose one of them.
    """
    is_pandas = hasattr(items, "itertuples") and hasattr(items, "iloc")
    if not is_pandas and not (hasattr(items, "iter_rows") and hasattr(items, "to_dicts")):
        for mark, fix in _OTHER_TABLES:
            if hasattr(items, mark):
                raise TypeError(
                    f"{caller}: items is a {type(items).__name__}, which is not a list of rows; "
                    f"pass {fix}"
                )
        return None
    if star:
        return items.itertuples(index=False, name=None) if is_pandas else items.iter_rows()  # type: ignore[no-any-return]
    names = list(items.columns)
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{caller}: items is a data frame with two columns {name!r}, of which a row, which is "
            "a dict, can have one only; rename them, or pass star=True for rows by position"
        )
    return _pandas_rows(items) if is_pandas else items.iter_rows(named=True)


def _pandas_rows(frame: Any) -> Iterator[dict[Any, Any]]:
    for start in range(0, len(frame), _ROWS):
        yield from frame.iloc[start : start + _ROWS].to_dict("records")
