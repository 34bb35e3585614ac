"""The layers: forward, backward, tangent and tangent of the backward, one file each, every line derived by hand.

``linear_attention`` (any mask, any factor) with its state ``gram``, ``softmax_attention``, ``relu_attention``,
``general_attention`` (linear attention and a linear skip), ``causal_softmax`` on queries, keys and values, the network ``mlp``,
``layer_norm``, ``cross_entropy``; ``corner`` makes matrices of trained blocks, ``marks`` name intermediates.
"""
