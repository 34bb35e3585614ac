"""Random numbers in lanes, defined in NumPy: bits, normals, gamma and chi variates, directions. ``random`` is the compiled twin.

Each lane has a state of its own, so that a draw is one vector operation. Everything is made of integer operations and of +, -, *,
/ and sqrt, which IEEE 754 rounds in one way only: no library's log or cos, hence the same bits on every machine and in the twin.

**Bits**: xoshiro256++ (Blackman and Vigna 2021): 256 bits of state, period 2^256 - 1, passes BigCrush and PractRand; shifts,
additions and exclusive or only, which every vector unit has (Philox needs 64 by 64 bit products, PCG 128 bit ones).
**Seeds**: chunk c of seed s takes ``SeedSequence(s, spawn_key=(c,), pool_size=8)``: 256 bits of entropy, hashed to four words a
lane. Any two of m lanes with r numbers each overlap with probability below m^2 r / 2^256: 2^-130 for a billion chunks and r =
2^50. **Uniforms**: the upper 52 bits k give u = (k + 1/2) / 2^52: never 0 or 1, symmetric about 1/2, and exact.

**Normals** (5b.13), Box and Muller 1958: x = r cos(angle), y = r sin(angle), r = sqrt(-2 log u). The angle is pi/2 t, t uniform
on (-1/2, 1/2), a quarter of the circle; two of the low bits that t does not use change the sign of the cosine and exchange x and
y, which gives the rest. No |x| exceeds sqrt(106 log 2) = 8.57; what lies beyond has probability 1e-17.
- log u = e log 2 + log m, m in [sqrt(1/2), sqrt(2)), log m by (5b.14) to s^19. As |s| < 0.1716, what is left out is below
  s^20 / 21 / (1 - s^2) < 2.4e-17 of log m.
- sin and cos of pi/2 t by their series to the powers 15 and 16. As pi/2 |t| < 0.7854, left out is below 5.9e-17 and 2.1e-18.
- exp y = 2^k exp(z), |z| <= log(2)/2, by its series to the power 13: left out below 4.2e-18. 0 for y < -708.
With rounding, each is right to 4e-16 of its value (tested against 64 bit mantissas).

**Gamma(a)** (5b.15), Marsaglia and Tsang 2000, exact: d = a - 1/3, c = 1 / sqrt(9 d), x ~ N(0, 1), v = (1 + c x)^3. Take d v
where v > 0 and log u < x^2/2 + d (1 - v + log v): more than 95 of 100 for a >= 1. u < 1 - 0.0331 x^4 implies that (same paper)
and needs no logarithm. For a < 1: Gamma(a + 1) times U^(1/a) is Gamma(a). A lane whose candidate is not taken draws another from
its own stream, and no other lane notices: what a lane draws depends on that lane alone, however many lie beside it.
**Chi(k)** is sqrt(2 Gamma(k/2)). Derived in lesson 05b.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from .._checks import as_count, as_real
from .._types import Array

LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # log 2 but for its low bits: times a whole number below 2^20 it is exact
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # the rest
LN2 = float.fromhex("0x1.62e42fefa39efp-1")  # log 2, not as a library rounds it; for the same reason powers are exact fractions
LOG2_E, HALF_PI = 1 / LN2, Fraction(math.pi / 2)
LOG = [2 / power for power in range(3, 21, 2)]  # of s^3, s^5, .., s^19, after 2 s
SIN = [(-1) ** i * float(HALF_PI ** (2 * i + 1)) / math.factorial(2 * i + 1) for i in range(8)]  # of t, t^3, .., t^15
COS = [(-1) ** i * float(HALF_PI ** (2 * i)) / math.factorial(2 * i) for i in range(9)]  # of 1, t^2, .., t^16
EXP = [1 / math.factorial(i) for i in range(14)]  # of 1, z, .., z^13
EXP_LEAST = -708.0  # below it exp gives 0: the smallest number with a whole mantissa is exp(-708.4)
SQUEEZE = 0.0331
STEP = 2.0**-52


def lane_states(seed: int, chunk: int, lanes: int = 64) -> Array:
    """The state (4, lanes) at which chunk ``chunk`` of a run with this seed begins; the functions below move it on in place."""
    seed, chunk, lanes = as_count("seed", seed, least=0), as_count("chunk", chunk, least=0), as_count("lanes", lanes)
    sequence = np.random.SeedSequence(seed, spawn_key=(chunk,), pool_size=8)
    return np.ascontiguousarray(sequence.generate_state(4 * lanes, np.uint64).reshape(lanes, 4).T)


def chunk_states(seed: int, chunks: int, lanes: int = 64) -> Array:
    """The states of the first chunks of a run: (chunks, 4, lanes)."""
    return np.array([lane_states(seed, chunk, lanes) for chunk in range(chunks)]).reshape(chunks, 4, lanes)


def next_bits(state: Array) -> Array:
    """64 random bits a lane, (lanes,) unsigned integers: xoshiro256++."""
    s0, s1, s2, s3 = state
    bits = rotated(s0 + s3, 23) + s0
    shifted = s1 << np.uint64(17)
    s2 ^= s0  # rows of state: changed in place
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3[:] = rotated(s3, 45)
    return bits


def rotated(word: Array, count: int) -> Array:
    """The bits of 64-bit words moved ``count`` places to the left; those that leave come in on the right."""
    return (word << np.uint64(count)) | (word >> np.uint64(64 - count))


def uniforms(bits: Array) -> Array:
    """Numbers in (0, 1) from the upper 52 of 64 bits."""
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * STEP


def polynomial(coefficients: list[float], x: Array) -> Array:
    """coefficients[0] + coefficients[1] x + .., by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def log(u: Array) -> Array:
    """The natural logarithm of positive numbers, to 4e-16 of its value."""
    m, exponent = np.frexp(u)  # m in [1/2, 1)
    low = m < math.sqrt(0.5)
    m, exponent = np.where(low, 2 * m, m), exponent - low
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    return exponent * LN2 + (s * (polynomial(LOG, square) * square) + 2.0 * s)


def exp(y: Array) -> Array:
    """The exponential of numbers y <= 0; 0 below -708."""
    kept = np.maximum(y, EXP_LEAST)
    k = np.rint(kept * LOG2_E)
    z = (kept - k * LN2_HIGH) - k * LN2_LOW
    return np.where(y < EXP_LEAST, 0.0, np.ldexp(polynomial(EXP, z), k.astype(int)))


def normal_pairs(radius_bits: Array, angle_bits: Array) -> tuple[Array, Array]:
    """Two independent N(0, 1) numbers for each two words of random bits."""
    radius = np.sqrt(-2.0 * log(uniforms(radius_bits)))
    t = uniforms(angle_bits) - 0.5
    sine, cosine = t * polynomial(SIN, t * t), polynomial(COS, t * t)
    cosine = np.where(angle_bits & np.uint64(1), -cosine, cosine)
    exchanged = (angle_bits & np.uint64(2)) != 0
    return radius * np.where(exchanged, sine, cosine), radius * np.where(exchanged, cosine, sine)


def normals(state: Array, rows: int) -> Array:
    """N(0, 1) numbers (rows, lanes); of an odd number of rows the last one's partner is thrown away."""
    pairs = [normal_pairs(next_bits(state), next_bits(state)) for _ in range((rows + 1) // 2)]
    return np.array([row for pair in pairs for row in pair][:rows]).reshape(rows, state.shape[1])


def gammas(state: Array, shapes: Sequence[float]) -> Array:
    """Row i holds Gamma(shapes[i]) numbers of scale 1, (rows, lanes). Raises ValueError for a shape that is not positive."""
    shapes = tuple(as_real("shapes", shape, above=0) for shape in shapes)
    out = normals(state, len(shapes))
    for row, shape in enumerate(shapes):
        d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        x, u = out[row], uniforms(next_bits(state))
        again = ~is_taken(x, u, c, d)
        while again.any():
            part = state[:, again]
            x[again] = normal_pairs(next_bits(part), next_bits(part))[0]
            u[again] = uniforms(next_bits(part))
            state[:, again] = part
            again[again] = ~is_taken(x[again], u[again], c, d)
        root = 1.0 + c * x
        x[:] = d * (root * root * root)
        if shape < 1.0:
            x *= exp(log(uniforms(next_bits(state))) / shape)
    return out


def is_taken(x: Array, u: Array, c: float, d: float) -> Array:
    """Whether (5b.15) takes the candidates x, (lanes,) of bool."""
    v = 1.0 + c * x
    v = v * v * v
    square, possible = x * x, v > 0.0
    sure = u < 1.0 - SQUEEZE * (square * square)
    below = log(u) < 0.5 * square + d * (1.0 - v + log(np.where(possible, v, 1.0)))
    return possible & (sure | below)


def normals_from(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """N(0, 1) numbers of a shape from the bits of a NumPy generator, whose own normals take their tails from a library's log."""
    count = math.prod(shape)
    words = rng.integers(2**64, size=(2, (count + 1) // 2), dtype=np.uint64)
    return np.concatenate(normal_pairs(*words))[:count].reshape(shape)
