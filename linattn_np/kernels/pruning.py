"""A program without the terms that are zero, and without what nobody reads: the same numbers in fewer operations.

What stays is added in the order that it had. For finite numbers a term that is 0 changes no sum, so the bits stay too. Marks say
what is zero before a program, or read after it; they are moved on through the program, so each set of marks serves once.
"""

from dataclasses import replace

from .operations import CLEAR, Operand, Program, Term


class Places:
    """Marks on places in the memory and on shared numbers, put and asked for by operands without gaps between their entries."""

    def __init__(self, slots: int, shared: int) -> None:
        self.marks = bytearray(slots), bytearray(shared)

    def mark(self, operand: Operand, marked: bool = True) -> None:
        """Mark all entries of an operand, or take the marks off."""
        first, end = extent(operand)
        self.marks[operand.shared][first:end] = bytes([marked]) * (end - first)

    def of(self, operand: Operand) -> bytearray:
        """The marks of an operand's entries."""
        first, end = extent(operand)
        return self.marks[operand.shared][first:end]


def extent(operand: Operand) -> tuple[int, int]:
    """The first place of an operand, and the first behind its last."""
    return operand.at, operand.at + (operand.rows - 1) * operand.row + (operand.columns - 1) * operand.column + 1


def operands_of(term: Term) -> list[Operand]:
    """What a term is made of."""
    return [operand for operand in (term.a, term.b) if operand is not None]


def without_zeros(program: Program, zero: Places) -> Program:
    """The program where what is marked holds zeros: a term of zeros is left out, and what it alone would make is cleared.

    For the linear model's operations, which make zeros of zeros; a softmax does not.
    """
    steps = []
    for step in program.steps:
        if any(all(zero.of(operand)) for operand in operands_of(step.term)):
            if step.add:
                continue
            step = replace(step, term=Term(CLEAR))
        elif step.add and all(zero.of(step.c)):
            step = replace(step, add=False)
        zero.mark(step.c, step.term.operation == CLEAR)
        steps.append(step)
    return replace(program, steps=steps)


def without_unread(program: Program, read: Places) -> Program:
    """The program where only what is marked is read after it: nothing is made that nobody reads."""
    steps = []
    for step in reversed(program.steps):
        if any(read.of(step.c)):
            read.mark(step.c, step.add)
            for operand in operands_of(step.term):
                read.mark(operand)
            steps.append(step)
    return replace(program, steps=steps[::-1])
