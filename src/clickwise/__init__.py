"""clickwise: click-through-rate prediction, from raw logs to a trained, measured, saved model."""
