"""Describe DNA sequences, one record at a time.

metainformant map examples/sequences.py:profile examples/data/ls_orchid.fasta -o orchids.tsv
"""

from __future__ import annotations

from typing import Protocol

_NUCLEOTIDES = frozenset("ACGTURYSWKMBDHVN")  # the codes of IUPAC, U as in RNA


class Sequence(Protocol):
    """What the command line hands over for a FASTA or FASTQ record."""

    @property
    def id(self) -> str: ...

    @property
    def sequence(self) -> str: ...


def profile(record: Sequence) -> dict[str, float]:
    """Length, GC content and linguistic complexity of one record.

    GC content is the fraction of G and C (S, which stands for either, included) among all bases.

    Raises:
        ValueError: for an empty sequence, or a character that is no IUPAC nucleotide code.
    """
    sequence = record.sequence.upper()
    if not sequence:
        raise ValueError("the sequence is empty")
    if set(sequence) - _NUCLEOTIDES:
        position, character = next(
            (position, character)
            for position, character in enumerate(record.sequence, 1)
            if character.upper() not in _NUCLEOTIDES
        )
        raise ValueError(f"{character!r} at position {position} is not an IUPAC nucleotide")
    gc = sum(map(sequence.count, "GCS")) / len(sequence)
    return {
        "length": len(sequence),
        "gc": round(gc, 4),
        "complexity": round(complexity(sequence), 4),
    }


def complexity(sequence: str, longest: int = 6) -> float:
    """Linguistic complexity: how many different words a sequence has, of all that it could have.

    For each word length k = 1 ... `longest`, a sequence of length L can have no more than
    min(4^k, L - k + 1) different words. The result is the sum of the words found, over the sum of
    those maxima: 1 for a sequence as varied as it can be, near 0 for a repeat. Words with
    ambiguous bases are left out.

    Troyanskaya OG, Arbell O, Koren Y, Landau GM, Bolshoy A (2002). Sequence complexity profiles
    of prokaryotic genomic sequences: a fast algorithm for calculating linguistic complexity.
    Bioinformatics 18(5):679-688.

    >>> complexity("ACGT")
    1.0
    >>> round(complexity("A" * 100), 4)
    0.0161
    """
    found = most = 0
    for k in range(1, min(longest, len(sequence)) + 1):
        places = len(sequence) - k + 1
        words = {sequence[start : start + k] for start in range(places)}
        found += sum(set(word) <= set("ACGTU") for word in words)
        most += min(4**k, places)
    return found / most if most else 0.0
