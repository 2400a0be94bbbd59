"""How the functions of a kernel become one module: each is lowered once, linked once and optimised once.

Owns two Numba compilers. Numba makes a finished library of every function: it links into it the libraries of all that
the function calls, optimises the whole and compiles it to machine code, and does so again in each caller. A kernel of
300 functions, ten calls deep, thereby compiles most of its code dozens of times. Here a part stays as it was lowered,
and the kernel that Python enters gathers all the parts below it, once: compiling the engine takes a fraction of the
time (docs/engine.md, section 9).

A part is a call of its own in the machine code (`noinline`), unless it is to be inlined: what the optimiser may not
decide, it does not spend time on.

Uses what Numba calls private; the lock file fixes its version and `make test` compiles everything.
"""

from __future__ import annotations

from typing import Any

from llvmlite.ir import Constant  # type: ignore[import-untyped]  # llvmlite has no types
from llvmlite.ir.instructions import CallInstr, StoreInstr  # type: ignore[import-untyped]  # llvmlite has no types
from numba.core import funcdesc
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering


class _PartLower(Lower):  # type: ignore[misc]  # numba has no types
    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        if not self.flags.forceinline:
            self.function.attributes.add("noinline")

    def lower_normal_function(self, fndesc: Any) -> None:
        super().lower_normal_function(fndesc)
        _leave_results_unset(self.function)
        for argument, kind in zip(self.fnargs, fndesc.argtypes, strict=True):
            if hasattr(kind, "pointee"):  # a TupleReference
                _promise_memory(argument, self.context.get_abi_sizeof(self.context.get_value_type(kind.pointee)))


def _promise_memory(reference: Any, size: int) -> None:
    """Whoever has a reference may read what it refers to at any time, so that loads of arrays may leave loops."""
    reference.attributes.dereferenceable = size
    reference.add_attribute("noalias")


def _leave_results_unset(function: Any) -> None:
    """Take out the stores of zero into the places that calls return their results to.

    Numba makes two for each call and place, one of them where the function begins. Who is called writes the result, so
    they are for nothing; in inlined functions they were 26 of the 790 instructions of a command.
    """
    instructions = [one for block in function.blocks for one in block.instructions]
    places = {
        id(place)
        for call in instructions
        if isinstance(call, CallInstr) and len(call.args) >= 2 and _is_named(call.args[1], "excinfo")
        for place in call.args[:2]
    }
    for block in function.blocks:
        block.instructions[:] = [
            one
            for one in block.instructions
            if not (isinstance(one, StoreInstr) and id(one.operands[1]) in places and _is_zero(one.operands[0]))
        ]


def _is_named(value: Any, prefix: str) -> bool:
    return not isinstance(value, Constant) and value.name.startswith(prefix)


def _is_zero(value: Any) -> bool:
    return isinstance(value, Constant) and value.constant is None


def _mark_finalized(library: Any) -> None:
    """A part's library is finished as soon as it is lowered: nothing is linked, optimised or compiled."""
    library._finalize_dynamic_globals()  # noqa: SLF001  no public hook
    library._finalized = True  # noqa: SLF001  no public hook


def _parts_below(library: Any) -> list[Any]:
    """The libraries that a library calls, directly and through parts, each once and behind all that call it.

    LLVM links only what is asked for by then. Calls make no circle: kernels do not recurse.
    """
    found: dict[int, Any] = {}

    def visit(one: Any) -> None:
        for called in one._linking_libraries:  # noqa: SLF001  no public hook
            if id(called) not in found:
                if getattr(called, "is_part", False):
                    visit(called)
                found[id(called)] = called

    visit(library)
    return list(found.values())[::-1]


def _finalize_kernel(library: Any) -> None:
    """Link a kernel with everything below it, optimise and compile."""
    library._linking_libraries = _parts_below(library)  # noqa: SLF001  no public hook
    CPUCodeLibrary.finalize(library)


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(NativeLowering):  # type: ignore[misc]  # numba has no types
    """Lower a function that only kernels call."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        context, flags = state.targetctx, state.flags
        library = state.library = context.codegen().create_library(state.func_id.func_qualname)
        library.is_part = True
        library.finalize = lambda: _mark_finalized(library)
        fndesc = funcdesc.PythonFunctionDescriptor.from_specialized_function(
            state.func_ir,
            state.typemap,
            state.return_type,
            state.calltypes,
            mangler=context.mangler,
            inline=flags.forceinline,
            noalias=flags.noalias,
            abi_tags=[flags.get_mangle_string()],
        )
        with context.push_code_library(library):
            lower = _PartLower(context, library, fndesc, state.func_ir, metadata=state.metadata)
            lower.lower()
        entry = object()  # what callers know the function by; there is no machine code
        context.insert_user_function(entry, fndesc, [library])
        state["cr"] = _LowerResult(fndesc, lower.call_helper, cfunc=entry, env=lower.env)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):  # type: ignore[misc]  # numba has no types
    """Lower a function that Python calls."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        library = state.library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
        library.enable_object_caching()
        library.finalize = lambda: _finalize_kernel(library)
        done: bool = super().run_pass(state)
        return done


def _with_lowering(state: Any, lowering: Any) -> list[Any]:
    manager = DefaultPassBuilder.define_nopython_pipeline(state)
    manager.passes = [(lowering if one is NativeLowering else one, why) for one, why in manager.passes]
    manager._finalized = False  # noqa: SLF001  no public hook
    manager.finalize()
    return [manager]


class PartCompiler(CompilerBase):  # type: ignore[misc]  # numba has no types
    """Compiles what only kernels call."""

    def define_pipelines(self) -> list[Any]:
        return _with_lowering(self.state, _PartLowering)


class KernelCompiler(CompilerBase):  # type: ignore[misc]  # numba has no types
    """Compiles what Python calls."""

    def define_pipelines(self) -> list[Any]:
        return _with_lowering(self.state, _KernelLowering)
