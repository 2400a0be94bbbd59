"""Memory that the next commands need is asked for while this one is applied.

Owns what is fetched ahead of a CANCEL: in a deep book hardly a row that it touches is in the nearest caches. The order
of the next command but one is fetched, and the neighbours of the next one's order, which is there by then. That is
worth a third in a deep book (`python -m bench.engine --walk 0`), and costs a few percent where all rows are cached, so
it begins at SCATTERED_ORDERS.

Nothing here changes a result: a fetch reads and writes nothing that is seen.
"""

from __future__ import annotations

from typing import Any

from llvmlite.ir import FunctionType, VoidType  # type: ignore[import-untyped]  # llvmlite has no types
from numba.core import cgutils, types
from numba.extending import intrinsic

from exchange.core.codes import CommandKind
from exchange.core.compile import INTERPRETED, i64, inlined
from exchange.core.slots import any_command, target_command
from exchange.core.state import CLOSED_BIT, State

SCATTERED_ORDERS = 4_096
"""So many open orders, with their details, take more than half of a second level cache of 1 MB."""

_FETCH = FunctionType(VoidType(), [cgutils.voidptr_t, *[cgutils.int32_t] * 3])
_TO_WRITE, _TO_STAY, _DATA = (cgutils.int32_t(code) for code in (1, 3, 1))


@intrinsic
def _fetch_row(_context: Any, rows: Any, slot: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, args[0])
        row = cgutils.get_item_pointer(context, builder, kind, view, args[1:], wraparound=False, boundscheck=False)
        fetch = builder.module.declare_intrinsic("llvm.prefetch", (cgutils.voidptr_t,), _FETCH)
        builder.call(fetch, [builder.bitcast(row, cgutils.voidptr_t), _TO_WRITE, _TO_STAY, _DATA])
        return context.get_dummy_value()

    return types.void(rows, slot), codegen


def _nothing(rows: Any, slot: int) -> None:
    pass


_fetch: Any = _nothing if INTERPRETED else _fetch_row


@inlined
def _target_slot(state: State, commands: Any, i: int) -> int:
    """The slot of the open order that command `i`, if it is a CANCEL, most likely names; else 0."""
    reference = i64(0)
    if any_command(commands, i).kind == CommandKind.CANCEL:
        order_id = target_command(commands, i).order_id
        reference = i64(state.order_index[order_id & (len(state.order_index) - 1)])
        if reference & CLOSED_BIT:
            reference = i64(0)
    return reference


@inlined
def fetch_targets(state: State, commands: Any, following: int) -> None:
    """Fetch what the command slots `following` and the one behind it are about to touch."""
    far = _target_slot(state, commands, following + 1)
    if far != 0:
        _fetch(state.orders, far)
        _fetch(state.details, far)
    near = _target_slot(state, commands, following)
    if near != 0:
        order = state.orders[near]
        _fetch(state.orders, i64(order.next))
        _fetch(state.orders, i64(order.prev))
        _fetch(state.orders, i64(order.owner_next))
        _fetch(state.orders, i64(order.owner_prev))
