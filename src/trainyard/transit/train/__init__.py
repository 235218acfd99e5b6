"""The Keras consumer: a small two-branch network that shows the set can be learned from.

`inputs` and `members` say which features and which records take part, `data`
feeds them, `model` is the network, `fit` trains it, `evaluate` scores it, and
`metrics` holds the exact scores that the evaluation reports.
"""

from __future__ import annotations

import os

# The configuration imports this package for its settings, so nothing heavy may be imported here.
# TensorFlow reads these while it is imported. What the user has set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Without this TensorFlow takes the whole memory of a GPU that other rules may be using.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
