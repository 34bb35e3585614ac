"""The models: stacks of layers with a prediction, a loss, its gradient and its Hessian-vector products.

``model`` says what a model is, ``stack`` runs layers of any kind and differentiates them, ``transformer`` and ``composed`` are
models, ``tied`` trains any model through a few numbers; ``attentions`` lists the kinds, ``passes`` chooses between NumPy and
kernels.
"""
