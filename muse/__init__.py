"""MuSE: exchanging-based multimodal fusion of a tweet's text and picture."""

__version__ = "0.1.0"
