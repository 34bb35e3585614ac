"""The exercises, one module a lesson: ``lesson_NN.EXERCISES``."""
