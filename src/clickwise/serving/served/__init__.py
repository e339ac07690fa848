"""Requests as they were served: kept to train on, and compared with training."""
