"""The load generator: open-loop arrivals at rising rates, until the bound on latency breaks."""
