"""Answering requests: a version is a sealed folder, the engine scores, the app speaks HTTP. Nothing here needs torch."""
