"""Changes of the kernels' source that change no number that is asked for, each with its reason."""

from .sources import Mutant

TIE = "differs where two random numbers tie only, which has no probability"
TERM = "a term more than the stated error needs"
SMALLER = "a smaller squeeze: what it leaves is asked exactly, with the same answer"
IMPLIED = "where u < 1 - 0.0331 x^4, |x| is below 2.35, and there 1 + c x > 0; what is left out is asked exactly"
ROUNDED = "rounding takes the change away"
PARTS = "whole parts: the range ends with the same part"
UNREAD = "nothing reads it there"
SCRATCH = "another row of scratch"
ORDER = "the other branch adds the same numbers one by one"

# function, what its changed line contains, why nothing changes
SAME = (
    ("interpreter.product", "i + full < rows", "smaller tiles give the same sums"),
    ("interpreter.product", "j + full < columns", "smaller tiles give the same sums"),
    ("interpreter.product", "unsigned(mem.shape[1]) - 1", PARTS),
    ("interpreter.softmax", "(mem[a + 1, lane], 0.0)", "the largest is taken over all entries next"),
    ("random_numpy.constants", "LOG = [2 / power for power in range(3, 21 - 1, 2)]", "the same powers"),
    ("random_numpy.constants", "LOG = [2 / power for power in range(3, 22, 2)]", TERM),
    ("random_numpy.constants", "for i in range(9)]", TERM),
    ("random_numpy.constants", "for i in range(10)]", TERM),
    ("random_numpy.constants", "for i in range(15)]", TERM),
    ("random_numpy.constants", "SQUEEZE = 0.0331000000331", SMALLER),
    ("random_numpy.is_taken", "sure = u <= ", TIE),
    ("random_numpy.is_taken", "below = log(u) <= ", TIE),
    ("random_numpy.is_taken", "v >= 0.0", TIE),
    ("random_numpy.is_taken", "(SQUEEZE + square * square)", SMALLER),
    ("random_numpy.is_taken", "np.where(possible, v, 1.000000001)", "where v is not positive the candidate is not taken anyway"),
    ("random.constants", "2.000000002 ** (-53)", ROUNDED),
    ("random.log", "1023.0000010230001", ROUNDED),
    ("random.exp", "+ ROUNDER_BITS", "the bits of it are shifted out"),
    ("random.normal_pair", "| (angle_bits & word(1)) << word(63)", "the cosine is positive: its sign bit is 0"),
    ("random.fill_gammas", "square = x[lane] + x[lane]", ""),
    ("random.fill_gammas", "(1.0 + c * x[lane] >= 0.0)", IMPLIED),
    ("random.fill_gammas", "(1.0 + c * x[lane] < 0.0)", IMPLIED),
    ("random.fill_gammas", "(1.0 - c * x[lane] > 0.0)", IMPLIED),
    ("random.fill_gammas", "(1.0 + c * x[lane] > 1e-09)", IMPLIED),
    ("random.fill_gammas", "(1.000000001 + c * x[lane] > 0.0)", IMPLIED),
    ("random.fill_gammas", "(1.0 + (c + x[lane]) > 0.0)", IMPLIED),
    ("random.fill_gammas", "(u[lane] <= 1.0", TIE),
    ("random.fill_gammas", "(SQUEEZE + square * square)", SMALLER),
    ("random.first_taken", "v >= 0.0", TIE),
    ("random.first_taken", "(u <= 1.0", TIE),
    ("random.first_taken", "log(u) <= ", TIE),
    ("random.first_taken", "(SQUEEZE + square * square)", SMALLER),
    ("draws_numpy.examples", "reshape(n + 1, d, -2)", "NumPy takes any negative size for the one that is left open"),
    ("draws.law_of", "shapes, 1e-09, 0.0, root", UNREAD),
    ("draws.law_of", "shapes, 0.0, 1e-09, root", "made-up examples have no numbers left over for noise"),
    ("draws.law_of", "float(task.gamma_scale or 1)", UNREAD),
    ("draws.law_of", "np.zeros((0, 1)) if root is None", "its length says that there is none"),
    ("draws.law_of", "((1, d), (0,), (d, 0), (0,))", "the length of b1 says that there is no network"),
    ("draws.law_of", "((0, d), (0,), (d, 1), (0,))", "the length of b1 says that there is no network"),
    ("draws.law_of", "((0, d), (0,), (d, 0), (1,))", "the length of b1 says that there is no network"),
    ("draws.draw_block", "if law.noise >= 0.0 else", "without noise there are no numbers left over for it"),
    ("draws.draw_block", "else numbers[:1]", "0 times a number is added"),
    ("draws.place_examples", "factor = scratch[1]", SCRATCH),
    ("draws.add_label", "scratch[d + 2]", SCRATCH),
    ("draws.add_label", "scratch[1:d + 2]", "the row more is not used"),
    ("linear.chunk_sums", "last * LANES - 1", PARTS),
    ("linear.chunk_sums", "clear(mem, at.sums, p + 2)", "the program sets the row after the sums before it reads it"),
    ("linear.group_sums", "clear(mem, at.sums, p + 2)", "the program sets the row after the sums before it reads it"),
    ("linear.group_sums", "if first * size == last // size:", ORDER),
    ("linear.group_sums", "if first // size == last * size:", ORDER),
    ("linear.gaussian_chunk", "range(min(j + 2, m))", "above the diagonal R is 0"),
)


def why_same_kernel(mutant: Mutant) -> str:
    """Why a change of a kernel makes no difference; "" where none is known."""
    name, after = f"{mutant.module}.{mutant.function or 'constants'}", mutant.said.partition("  ->  ")[2]
    return next((why for function, changed, why in SAME if function == name and changed in after), "")
