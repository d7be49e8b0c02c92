"""What a pickle asks for, looked at before it is loaded: a few bytes could ask for too much."""

import io
import pickletools
from typing import IO, Any

# Of tuples within tuples: files of torch.save have three. Each may hold the one before twice, and
# a dictionary that has it for a key looks at all of them.
_MOST_NESTED = 16
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_TO_MEMO = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FROM_MEMO = ("GET", "BINGET", "LONG_BINGET")
# Where a mark stands on the stack.
_MARK = -1


def problem(stream: IO[bytes]) -> str:
    """Returns why a pickle must not be loaded; "" where nothing speaks against it.

    Args:
        stream: at the pickle; where it is afterwards is open.

    Raises:
        Exception: the pickle is broken, in any of the ways in which `pickletools` says so.
    """
    start = stream.tell()
    size = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    # Of everything on the stack and in the memo: how many tuples are in one another there.
    stack: list[int] = []
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        # The memo is as long as its largest index says.
        place: Any = len(memo) if opcode.name == "MEMOIZE" else argument
        if opcode.name in _TO_MEMO and not 0 <= place <= size:
            return "its pickle asks for more memory than a file of its size can need"
        depth = max(_taken(opcode, stack), default=0)
        if opcode.name in _FROM_MEMO:
            depth = memo.get(place, 0)
        depth += opcode.name in _TUPLES
        if depth > _MOST_NESTED:
            return "its pickle has tuples within tuples, as no file of tensors has"
        for after in opcode.stack_after:
            stack.append(_MARK if after is pickletools.markobject else depth)
        if opcode.name in _TO_MEMO and stack:
            memo[place] = stack[-1]
    return ""


def _taken(opcode: pickletools.OpcodeInfo, stack: list[int]) -> list[int]:
    """Takes from a stack what an operation takes."""
    before, taken = opcode.stack_before, list[int]()
    count = len(before)
    if pickletools.markobject in before:
        # All down to the mark, and what comes below it.
        count = before.index(pickletools.markobject)
        while stack and (top := stack.pop()) != _MARK:
            taken.append(top)
    return taken + [stack.pop() for _ in range(min(count, len(stack)))]
