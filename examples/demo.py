r"""What a long run looks like when some records go wrong.

metainformant map examples/demo.py:demo --timeout 2 examples/data/ls_orchid.fasta \
    examples/data/trouble.fasta examples/data/lambda_virus.fa -o demo.tsv
"""

from __future__ import annotations

import threading

from sequences import Sequence, profile


def demo(record: Sequence) -> dict[str, float]:
    """`profile`, but it waits for ever on the record called "hanging", as a dead server would."""
    if record.id == "hanging":
        threading.Event().wait()
    return profile(record)
