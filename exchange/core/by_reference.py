"""A named tuple of arrays passed by its address.

Owns one Numba type. A function that takes a state of 30 arrays takes more than 200 numbers, stored anew at each call
and compiled each time; behind a reference it takes one address. `by_reference(state)` puts the tuple on the stack of
the kernel that Python entered; what that kernel calls reads the same attributes through the address. Figures are in
docs/engine.md, section 9.

The tuple never changes while it is referred to, which the machine code may rely on. So the kernel that makes the
reference hands it to a `part` and reads nothing through it itself: there the tuple is still being written.
"""

from __future__ import annotations

import hashlib
from typing import Any

from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic, register_model

from exchange.core.compile import INTERPRETED


class TupleReference(types.Type):  # type: ignore[misc]  # numba has no types
    """The address of a named tuple. Its name is short because it stands in the name of each function that takes one."""

    def __init__(self, pointee: Any) -> None:
        self.pointee = pointee
        super().__init__(name=f"&{hashlib.sha256(str(pointee).encode()).hexdigest()[:12]}")

    @property
    def mangling_args(self) -> tuple[str, tuple[Any, ...]]:
        return self.name, ()


@register_model(TupleReference)
class _Model(models.PrimitiveModel):  # type: ignore[misc]  # numba has no types
    def __init__(self, manager: Any, reference: TupleReference) -> None:
        super().__init__(manager, reference, cgutils.voidptr_t)


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]  # numba has no types
    key = TupleReference

    def generic_resolve(self, reference: TupleReference, name: str) -> Any:
        fields = reference.pointee.fields
        return reference.pointee.types[fields.index(name)] if name in fields else None


@lower_getattr_generic(TupleReference)
def _load_attribute(context: Any, builder: Any, reference: TupleReference, address: Any, name: str) -> Any:
    """Load one array. Its place is a number of bytes: spelling the type of the whole tuple costs 4 kB of IR a time."""
    members = [context.get_value_type(member) for member in reference.pointee.types]
    index = reference.pointee.fields.index(name)
    offset = sum(context.get_abi_sizeof(member) for member in members[:index])
    place = builder.gep(address, [cgutils.intp_t(offset)])
    loaded = builder.load(builder.bitcast(place, members[index].as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@intrinsic
def _address_of(_context: Any, pointee: Any) -> Any:
    reference = pointee if isinstance(pointee, TupleReference) else TupleReference(pointee)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(signature.args[0], TupleReference):
            return args[0]
        place = cgutils.alloca_once(builder, context.get_value_type(signature.args[0]))
        builder.store(args[0], place)
        return builder.bitcast(place, cgutils.voidptr_t)

    return reference(pointee), codegen


def _itself(state: Any) -> Any:
    return state


by_reference: Any = _itself if INTERPRETED else _address_of
