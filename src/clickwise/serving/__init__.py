"""Answering requests without torch: a version is a sealed folder, the engine scores, the app speaks HTTP."""
