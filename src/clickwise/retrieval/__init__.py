"""Items that are found by vectors: indexes, the catalogue beside them, and the cascade on top."""
