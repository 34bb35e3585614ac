"""Random numbers in lanes, compiled: the twin of ``random_numpy``, which derives them, with the same bits.

A state (4, LANES) is moved on in place; results fill arrays that are given. One loop over the lanes makes a number from its bits,
with no array between: about a nanosecond a normal, a tenth of what NumPy's generator takes. Nothing calls a library for a
logarithm or a cosine, there is no fastmath and nothing is contracted, so no bit depends on the machine. Where the definition says
frexp, ldexp or rint, the bits of the number are taken apart instead: such operations have vector forms everywhere.
"""

import math

import numpy as np

from .._types import Array
from . import random_numpy as definition
from .lanes import LANES, compiled
from .random_numpy import EXP_LEAST, LN2, LN2_HIGH, LN2_LOW, LOG2_E, SQUEEZE

LOG, SIN, COS, EXP = (tuple(series) for series in (definition.LOG, definition.SIN, definition.COS, definition.EXP))
word = np.uint64
ONE, MANTISSA = word(0x3FF0000000000000), word(0x000FFFFFFFFFFFFF)  # the bits of 1.0; those of a mantissa
ROOT_HALF = word(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
WHOLE, WHOLE_BITS = 2.0**52, word(0x4330000000000000)  # from here on a float's lowest bit is worth 1
ROUNDER, ROUNDER_BITS = 1.5 * 2.0**52, word(0x4338000000000000)  # added and taken off again, it rounds to whole numbers
BELOW_ONE = 1.0 - 2.0**-53


def lane_states(seed: int, chunk: int) -> Array:
    """The state (4, LANES) at which chunk number ``chunk`` of a run with this seed begins."""
    return definition.lane_states(seed, chunk, LANES)


@compiled
def next_bits(state: Array, lane: int) -> int:
    """The next 64 random bits of one lane: xoshiro256++."""
    s0, s1, s2, s3 = state[0, lane], state[1, lane], state[2, lane], state[3, lane]
    mixed = s0 + s3
    bits = ((mixed << word(23)) | (mixed >> word(41))) + s0
    s2 ^= s0
    s3 ^= s1
    state[0, lane], state[1, lane] = s0 ^ s3, s1 ^ s2
    state[2, lane], state[3, lane] = s2 ^ (s1 << word(17)), (s3 << word(45)) | (s3 >> word(19))
    return bits


@compiled
def uniform(bits: int) -> float:
    """(k + 1/2) / 2^52 from the upper 52 bits k: as the mantissa of a number in [1, 2), less 1 - 2^-53, exactly."""
    return word((bits >> word(12)) | ONE).view(np.float64) - BELOW_ONE


@compiled
def polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """coefficients[0] + coefficients[1] x + .., by Horner's rule; the tuple's length is known when this is compiled."""
    total = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        total = total * x + coefficients[i]
    return total


@compiled
def log(u: float) -> float:
    """The natural logarithm of a positive number."""
    shifted = np.float64(u).view(np.uint64) - ROOT_HALF + ONE  # its exponent is that of u = 2^e m, m in [sqrt(1/2), sqrt(2))
    exponent = word((shifted >> word(52)) | WHOLE_BITS).view(np.float64) - (WHOLE + 1023.0)
    m = word((shifted & MANTISSA) + ROOT_HALF).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    return exponent * LN2 + (s * (polynomial(LOG, square) * square) + 2.0 * s)


@compiled
def exp(y: float) -> float:
    """The exponential of a number y <= 0; 0 below -708."""
    rounded = y * LOG2_E + ROUNDER
    k = rounded - ROUNDER
    z = (y - k * LN2_HIGH) - k * LN2_LOW
    scale = word((np.float64(rounded).view(np.uint64) - ROUNDER_BITS + word(1023)) << word(52)).view(np.float64)
    return 0.0 if y < EXP_LEAST else polynomial(EXP, z) * scale


@compiled
def normal_pair(radius_bits: int, angle_bits: int) -> tuple[float, float]:
    """Two independent N(0, 1) numbers."""
    radius = math.sqrt(-2.0 * log(uniform(radius_bits)))
    t = uniform(angle_bits) - 0.5
    sine, cosine = t * polynomial(SIN, t * t), polynomial(COS, t * t)
    cosine = word(np.float64(cosine).view(np.uint64) ^ ((angle_bits & word(1)) << word(63))).view(np.float64)  # its sign
    exchanged = (angle_bits & word(2)) != word(0)
    return radius * (sine if exchanged else cosine), radius * (cosine if exchanged else sine)


@compiled
def fill_normals(state: Array, out: Array) -> None:
    """Fill out (rows, LANES) with N(0, 1) numbers; of an odd number of rows the last one's partner is thrown away."""
    if state.shape != (4, LANES) or out.shape[1] != LANES:
        raise ValueError("expected a state of shape (4, LANES) and an array to fill of shape (rows, LANES)")
    rows = len(out)
    for row in range(0, rows - 1, 2):
        for lane in range(LANES):
            radius_bits = next_bits(state, lane)
            out[row, lane], out[row + 1, lane] = normal_pair(radius_bits, next_bits(state, lane))
    if rows % 2 == 1:
        for lane in range(LANES):
            radius_bits = next_bits(state, lane)
            out[rows - 1, lane], _ = normal_pair(radius_bits, next_bits(state, lane))


@compiled
def fill_gammas(state: Array, shapes: Array, out: Array, scratch: Array) -> None:
    """Fill row i of out (rows, LANES) with Gamma(shapes[i]) numbers of scale 1; scratch (2, LANES)."""
    fill_normals(state, out)
    u, sure = scratch[0], scratch[1]
    for row in range(len(out)):
        shape, x = shapes[row], out[row]
        if not 0.0 < shape < math.inf:  # nothing would ever be taken
            raise ValueError("shapes: expected positive finite numbers")
        d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        for lane in range(LANES):
            u[lane] = uniform(next_bits(state, lane))
            square = x[lane] * x[lane]
            sure[lane] = (1.0 + c * x[lane] > 0.0) & (u[lane] < 1.0 - SQUEEZE * (square * square))
        for lane in range(LANES):
            if sure[lane] == 0.0:
                x[lane] = first_taken(state, lane, x[lane], u[lane], c, d)
        for lane in range(LANES):
            root = 1.0 + c * x[lane]
            x[lane] = d * (root * root * root)
        if shape < 1.0:
            for lane in range(LANES):
                x[lane] *= exp(log(uniform(next_bits(state, lane))) / shape)


@compiled
def first_taken(state: Array, lane: int, x: float, u: float, c: float, d: float) -> float:
    """The candidate x if (5b.15) takes it, or else the lane's next one that it takes."""
    while True:
        root, square = 1.0 + c * x, x * x
        v = root * root * root
        if v > 0.0 and (u < 1.0 - SQUEEZE * (square * square) or log(u) < 0.5 * square + d * (1.0 - v + log(v))):
            return x
        radius_bits = next_bits(state, lane)
        x, _ = normal_pair(radius_bits, next_bits(state, lane))
        u = uniform(next_bits(state, lane))
