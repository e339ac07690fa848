"""The server: HTTP alone, over whatever engines the store names."""
