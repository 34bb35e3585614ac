"""The lines that softmax and ReLU attention share with linear attention, and the general layer's own, planted in one layer."""
# fmt: off

ATTENTION = (  # ids of ``catalogue.ATTENTION``: the same wrong derivations stand there too
    *("dW_no_n", "dV_no_n", "dP_no_n", "dW_V_dout", "dV_W_not_turned", "dP_transposed", "dQ_transposed"),
    *("dP_batch_mean", "dQ_batch_mean", "dQ_no_query", "value_P_transposed", "reader_Q_transposed", "residual_over_n"),
    *("read_Q_not_turned", "read_dA_not_turned", "residual_dropped", "value_dropped", "score_reader_only"),
    *("score_read_only", "score_doubled", "residual_negated", "dP_dQ_swapped"),
)
GENERAL = (  # id, line, the mistake in words, old, new
    ("total_halved", "dtotal", "half of what enters", 'mark("dtotal", dtotal)', 'mark("dtotal", 0.5 * dtotal)'),
    ("skip_negated", "dS", "the skip with a minus", 'mark("dS", dtotal)', 'mark("dS", -dtotal)'),
    ("R_transposed", "dR", "dR^T in place of dR", 'mark("dR", (dS.mT @ Z)', 'mark("dR", (Z.mT @ dS)'),
    ("R_one_token", "dR", "the query's token alone", 'mark("dR", (dS.mT @ Z)', 'mark("dR", (dS[:, -1:].mT @ Z[:, -1:])'),
    ("skip_R_turned", "dZ_skip", "R^T in place of R", 'mark("dZ_skip", dS @ R)', 'mark("dZ_skip", dS @ R.T)'),
    ("skip_dropped", "dtokens", "the fifth use of Z is forgotten", 'mark("dtokens", dZ + dZ_skip)', 'mark("dtokens", dZ)'),
    ("skip_twice", "dtokens", "the skip counted twice", 'mark("dtokens", dZ + dZ_skip)', 'mark("dtokens", dZ + 2 * dZ_skip)'),
    ("attention_of_dR", "dout", "attention is handed the skip's gradient", "linear_attention.backward(dtotal, attention, mark)",
     "linear_attention.backward(dZ_skip, attention, mark)"),
)
