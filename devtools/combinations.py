"""Chooses which answers to try together."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import TypeVar

from devtools.rendering import OTHER_PATHS, Answers, questions, ways_to_answer

T = TypeVar("T")

FLAVORS = {"-".join(way.values()): way for way in ways_to_answer("store_database")}
"""The answers of each database, and of each driver where there is a choice, by a name."""

EXTRAS = [name for name, details in questions().items() if details["type"] == "bool"]
"""The questions that ask for extras."""


def factors() -> list[list[dict[str, object]]]:
    """Give, for each question of the template, the ways to answer it."""
    chosen: list[list[dict[str, object]]] = [
        [dict(way) for way in ways_to_answer(name)]
        for name, details in questions().items()
        if "choices" in details and "when" not in details
    ]
    extras: list[list[dict[str, object]]] = [
        [{name: answer} for answer in (False, True)] for name in EXTRAS
    ]
    return [*chosen, *extras, [{}, dict(OTHER_PATHS)]]


def all_pairs(factors: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """Choose rows with one value of each factor, so that any two values share a row."""
    rows = list(product(*(range(len(factor)) for factor in factors)))
    bits: dict[object, int] = {}  # one for each pair
    pairs = {
        row: sum(1 << bits.setdefault(pair, len(bits)) for pair in combinations(enumerate(row), 2))
        for row in rows
    }
    missing = (1 << len(bits)) - 1
    chosen: list[tuple[int, ...]] = []
    while missing:
        chosen.append(max(rows, key=lambda row: (pairs[row] & missing).bit_count()))
        missing &= ~pairs[chosen[-1]]
    return [
        tuple(factor[index] for factor, index in zip(factors, row, strict=True)) for row in chosen
    ]


def each_once(factors: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """Choose rows with one value of each factor, so that each value is in a row."""
    count = max(len(factor) for factor in factors)
    return [tuple(factor[row % len(factor)] for factor in factors) for row in range(count)]


def merged(row: Sequence[Answers]) -> dict[str, object]:
    """Put the answers of a row together."""
    return {name: answer for part in row for name, answer in part.items()}
