"""The models: stacks of layers with a prediction, a loss, its gradient and its Hessian-vector products."""
