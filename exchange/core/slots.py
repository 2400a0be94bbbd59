"""Records inside a buffer of 128-byte slots: one accessor per dtype.

`place_command(buffer, i)` is slot `i` of a (n, 128) u1 buffer read as a PLACE record: compiled it is an address,
interpreted a view; writing a field writes the buffer. Kernels thereby take one array instead of one a dtype, which is
what a call costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numba.np import arrayobj

from exchange.core import event_records, records
from exchange.core.compile import INTERPRETED

Accessor = Callable[[Any, int], Any]
_make_array: Any = arrayobj.make_array


def accessor(dtype: np.dtype[Any]) -> Accessor:
    """A function (buffer, slot) -> record of `dtype`, usable in kernels and in plain Python alike when interpreted."""
    if INTERPRETED:

        def view(buffer: Any, slot: int) -> Any:
            return buffer[slot].view(dtype).view(np.recarray)[0]

        return view

    record = numba.from_dtype(dtype)

    @intrinsic
    def address(_context: Any, buffer: Any, slot: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = _make_array(signature.args[0])(context, builder, args[0])
            offset = builder.mul(args[1], args[1].type(records.RECORD_BYTES))
            return builder.bitcast(builder.gep(array.data, [offset]), context.get_value_type(record))

        return record(buffer, types.int64), codegen

    compiled: Any = address  # its stub types the expansion, not the call inside a kernel
    inside_kernels: Accessor = compiled
    return inside_kernels


any_command = accessor(records.ANY)
place_command = accessor(records.PLACE)
target_command = accessor(records.TARGET)
transfer_command = accessor(records.TRANSFER)
asset_command = accessor(records.ASSET)
symbol_command = accessor(records.SYMBOL)
account_command = accessor(records.ACCOUNT)
mode_command = accessor(records.MODE)
limit_command = accessor(records.LIMIT)
hash_command = accessor(records.HASH)
list_command = accessor(records.LIST)
sweep_command = accessor(records.SWEEP)
countdown_command = accessor(records.COUNTDOWN)
rule_command = accessor(records.RULE)
auction_command = accessor(records.AUCTION)
skip_command = accessor(records.SKIP)

any_event = accessor(records.ANY)
order_event = accessor(event_records.ORDER_EVENT)
trade_event = accessor(event_records.TRADE)
prevented_event = accessor(event_records.PREVENTED)
transfer_event = accessor(event_records.TRANSFER_EVENT)
canceled_all_event = accessor(event_records.CANCELED_ALL)
ticked_event = accessor(event_records.TICKED)
symbol_event = accessor(records.SYMBOL)
hash_event = accessor(records.HASH)
rule_event = accessor(records.RULE)
skip_event = accessor(records.SKIP)
terms_event = accessor(event_records.ORDER_TERMS)
list_event = accessor(event_records.LIST_EVENT)
mass_canceled_event = accessor(event_records.MASS_CANCELED)
countdown_event = accessor(event_records.COUNTDOWN_EVENT)
auction_event = accessor(event_records.AUCTION_EVENT)
