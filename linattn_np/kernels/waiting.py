"""Waiting for another thread without going to sleep: to be woken takes as long as a tenth of a training step."""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._types import Array
from .lanes import compiled

PAUSE = "llvm.x86.sse2.pause" if platform.machine().lower() in ("x86_64", "amd64") else ""  # leaves the core to its neighbour
LOOKS = 10_000 if PAUSE else 500_000  # about a quarter of a millisecond: as long as another thread may need between two steps
MORE = LOOKS // 30  # and a few microseconds more, in which the other thread lets go of the interpreter's lock


@intrinsic
def _now(typing: Any, numbers: Any) -> Any:
    """numbers[0] as it is in memory now, whatever was read before, after a pause."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> ir.Instruction:
        if PAUSE:
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, pause, PAUSE), [])
        return builder.load_atomic(context.make_array(numbers)(context, builder, args[0]).data, ordering="acquire", align=8)

    return types.int64(numbers), codegen


@compiled
def look(numbers, wanted, looks, more):  # type: ignore[no-untyped-def]
    """Look at numbers[0] until it is what is wanted, and then some times more; at most so many times before. Without the
    interpreter's lock.
    """
    for _ in range(looks):
        if _now(numbers) == wanted:  # type: ignore[call-arg]
            for _ in range(more):
                _now(numbers)
            return


def wait_for(numbers: Array, wanted: int) -> None:
    """Come back when numbers[0], which another thread sets, is what is wanted, or after a moment: then it is time to sleep."""
    look(numbers, wanted, LOOKS, MORE)
