"""The lines that softmax and ReLU attention share with linear attention: the same wrong derivations, planted there too."""

ATTENTION = (  # ids of ``catalogue.ATTENTION``
    *("dW_no_n", "dV_no_n", "dP_no_n", "dW_V_dout", "dV_W_not_turned", "dP_transposed", "dQ_transposed"),
    *("dP_batch_mean", "dQ_batch_mean", "dQ_no_query", "value_P_transposed", "reader_Q_transposed"),
    *("residual_over_n", "read_Q_not_turned", "read_dA_not_turned", "residual_dropped", "value_dropped", "score_reader_only"),
    *("score_read_only", "score_doubled", "residual_negated", "dP_dQ_swapped"),
)
