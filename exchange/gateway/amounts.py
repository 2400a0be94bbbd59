"""Decimal strings and integers, exactly: no float, no Decimal, one ASCII pattern.

Owns the reading of prices, quantities and amounts, and their writing. An amount is `units` of 10^-scale. Reading never
rounds: what does not fit the grid is refused. Writing always shows the same number of decimals.

Source of the pattern: the API contract (1 to 20 digits, optionally a point and 1 to 20 digits; no sign, no exponent).
"""

from __future__ import annotations

import re

from exchange.gateway.errors import filter_failure, illegal_characters, too_precise

AMOUNT_PATTERN = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_match = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?", re.ASCII).fullmatch
_CACHED_MAX = 4096
_CACHED_CHARACTERS_MAX = 24


class Grid:
    """The decimals of one kind of amount: `scale` of its unit, `shown` when written, `precision` allowed when read.

    scale <= shown. A text with more significant decimals than `precision` is refused with -1111; one that fits the
    precision and not the scale breaks the filter that the caller names.
    """

    __slots__ = ("_format", "_known", "_texts", "_unit", "precision", "scale")

    def __init__(self, scale: int, shown: int, precision: int) -> None:
        self.scale = scale
        self.precision = precision
        self._unit = 10**scale
        zeros = "0" * (shown - scale)
        self._format = f"%d.%0{scale}d{zeros}" if scale else "%d" + (f".{zeros}" if zeros else "")
        self._known: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def text(self, units: int) -> str:
        """`units` as a decimal string; units >= 0. The last few thousand are remembered: 0.7 -> 0.1 us a text."""
        known = self._texts.get(units)
        return self._write(units) if known is None else known

    def _write(self, units: int) -> str:
        text = self._format % divmod(units, self._unit) if self.scale else self._format % units
        if len(self._texts) >= _CACHED_MAX:
            self._texts.clear()
        self._texts[units] = text
        return text

    def units(self, text: str, parameter: str, filter_name: str) -> int:
        """The exact number of units. Raises Refusal: -1100 pattern, -1111 precision, -1013 off the grid.

        The last few thousand texts are remembered (a client repeats its prices): 0.9 -> 0.06 us a text.
        """
        known = self._known.get(text)
        return self._read(text, parameter, filter_name) if known is None else known

    def _read(self, text: str, parameter: str, filter_name: str) -> int:
        match = _match(text)
        if match is None:
            raise illegal_characters(parameter, AMOUNT_PATTERN)
        whole, decimals = match.groups("")
        significant = decimals.rstrip("0")
        if len(significant) > self.precision:
            raise too_precise(parameter)
        if len(significant) > self.scale:
            raise filter_failure(filter_name)
        units = int(whole + significant.ljust(self.scale, "0"))
        if len(text) <= _CACHED_CHARACTERS_MAX:
            if len(self._known) >= _CACHED_MAX:
                self._known.clear()
            self._known[text] = units
        return units
