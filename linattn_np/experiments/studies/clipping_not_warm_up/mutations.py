"""Wrong versions of what a step does; each must be caught by the checks of its module."""

MUTATIONS = {
    "quadratic": (
        ("trace_sign", "trace = 1 + momentum - rate", "trace = 1 + momentum + rate", "uphill in the place of downhill"),
        ("trace_momentum", "trace = 1 + momentum - rate", "trace = 1 - rate", "the old step is lost from the trace"),
        ("product", "trace * trace - 4 * momentum", "trace * trace - 4", "the product of the two z is mu, not 1"),
        ("length", "return math.sqrt(momentum)", "return momentum", "a pair whose product is mu has length sqrt(mu)"),
        ("sign_lost", "(abs(trace) + math.sqrt(square)) / 2", "(trace + math.sqrt(square)) / 2",
         "above the edge the trace is negative, and the larger z is the negative one"),
        ("half", "(abs(trace) + math.sqrt(square)) / 2", "abs(trace) + math.sqrt(square)", "the 2 of the quadratic formula"),
        ("edge_half", "edge = 2 * (1", "edge = 1 * (1", "the rate at which x is zero after a step, not the edge"),
        ("edge_momentum", "* (1 + as_real(", "* (1 - as_real(", "momentum raises the edge"),
        ("ramp", "* edge / rate) + 1", "* rate / edge) + 1", "the ramp is read upside down"),
        ("first", "* edge / rate) + 1", "* edge / rate)", "the last step below the edge in the place of the first above"),
        ("sum", "rate * threshold / (1 - as_real", "rate * threshold * (1 - as_real", "the buffer is a sum, not a mean"),
        ("edge_two", "rate * curvature <= 2 else", "rate * curvature <= 1 else", "the edge is at 2"),
        ("inner", "rate * threshold - threshold / curvature", "rate * threshold", "what is left of x at the last unclipped step"),
        ("inner_sign", "rate * threshold - threshold / curvature", "rate * threshold + threshold / curvature",
         "the step leads over the minimum to the other side"),
    ),
}  # fmt: skip
