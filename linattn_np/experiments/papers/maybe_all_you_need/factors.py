"""What a claim is held to where the paper gives no number: chosen once, before the runs at the paper's scale.

Where the paper says only "larger" or "heavier", the sign alone is agreement in direction, and a factor is agreement. Ratios of
condition numbers are held to the paper's own mean plus or minus its own standard deviation: ours by their geometric mean over
twenty seeds, since one seed decides the mean of a few such ratios.
"""

PLOT = 1.5  # a curve read off a plot
NOISE = 1.25  # a statistic of the noise: 10,000 draws pin its bulk down
CONDITION = 2.0  # a condition number read off a plot
THROUGHOUT, FAINT = 0.9, 0.5  # "lower throughout": the share of the windows; in direction, more than half of them
TAIL = 1.1  # heavy: the noise's p99.9 / p50 is at least this many times that of its control or of what it is compared with
CLEAR = 1.25  # a condition number or a speed that is "larger"
LOSS = 1.5  # a loss or a gap that is "larger"
MUCH = 3.0
UNCHANGED = 2.0  # "does not clearly change": either way
