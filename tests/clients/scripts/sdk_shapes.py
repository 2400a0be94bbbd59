"""What binance-sdk-spot makes of a reply: its models are strict about types, and we are strict about fields.

A reply that does not fit its model is not refused by the library: it relaxes the model or gives the raw reply, and logs
a warning. Both are failures here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tests.clients.scripts.scenes import same

NOT_HERE = {
    *("iceberg_qty", "stop_price", "trailing_delta", "trailing_time", "strategy_id", "strategy_type"),
    *("peg_price_type", "peg_offset_type", "peg_offset_value", "pegged_price"),
    *("used_sor", "working_floor", "expiry_reason", "list_status"),
    *("prevented_match_id", "prevented_quantity", "prevented_qty"),
    *("qty_exponent", "price_exponent", "sors"),
}
"""Fields that the models know and that Binance shows only when they are relevant; none of the orders here is."""

_MISFIT = ("did not match", "Failed to parse", "Error in callback")


class Alarm(logging.Handler):
    """Keeps what the library says about replies that do not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.misfits: list[str] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if any(words in text for words in _MISFIT):
            self.misfits.append(text)


def _odd(value: Any, path: str = "") -> Iterator[str]:
    """`+name` of each field that the model does not know, `-name` of each that it knows and that is not there."""
    if isinstance(value, list):
        for row in value:
            yield from _odd(row, path)
    elif isinstance(value, BaseModel):
        inner = getattr(value, "actual_instance", None)
        if inner is not None:
            yield from _odd(inner, path)
            return
        for name in getattr(value, "additional_properties", {}):
            yield f"+{path}{name}"
        for name in set(type(value).model_fields) - {"additional_properties"} - NOT_HERE:
            field = getattr(value, name)
            if field is None:
                yield f"-{path}{name}"
            else:
                yield from _odd(field, f"{path}{name}.")


def fits(response: Any, *odd: str) -> Any:
    """The data of a response, which is a model or a list of models, with all fields and no others but the odd ones."""
    data = response.data()
    return fits_model(data, *odd)


def fits_model(data: Any, *odd: str) -> Any:
    """The same of a model itself."""
    rows = data if isinstance(data, list) else [data]
    assert all(isinstance(row, BaseModel) for row in rows), f"not a model: {data!r}"
    same(sorted(set(_odd(data))), sorted(odd))
    return data
