"""Choosing MuSE's settings: the only package that knows Ray and Optuna."""
