"""Numbers as people read them at night."""

from __future__ import annotations


def count(number: float) -> str:
    """1234.0 → "1,234"; 0.5 → "0.5"."""
    return f"{number:,.0f}" if number == int(number) or number >= 100 else f"{number:.2g}"


def percent(share: float, digits: int = 3) -> str:
    """0.031 → "3.1 %"."""
    return f"{100 * share:.{digits}g} %" if share < 0.995 else f"{100 * share:,.0f} %"


def seconds(duration: float) -> str:
    """0.21 → "210 ms", 1.5 → "1.5 s"."""
    return f"{1000 * duration:.3g} ms" if duration < 1 else f"{duration:.4g} s"


def of_unit(value: float, unit: str) -> str:
    """A value in "seconds", or a "share"."""
    return percent(value) if unit == "share" else seconds(value)


def quantile(share: float) -> str:
    """0.95 → "p95"."""
    return f"p{100 * share:g}"


def times(factor: float) -> str:
    """2.0 → "×2", 0.25 → "×0.25"."""
    return f"×{factor:.2g}" if factor < 99.5 else f"×{factor:,.0f}"


def odds(evidence: float) -> str:
    """Evidence as odds: 20.0 → "20 to 1"."""
    if evidence > 1e6:
        return "over a million to 1"
    return f"{evidence:,.0f} to 1" if evidence >= 10 else f"{evidence:.2g} to 1"
