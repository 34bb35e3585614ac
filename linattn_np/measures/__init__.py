"""What is measured of a model at a point: its gradient's noise and the curvature of its loss."""
