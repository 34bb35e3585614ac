"""The library's own layers, models and optimizers as subjects of the audit."""
