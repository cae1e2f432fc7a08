"""Tools for agents that speak MCP: an optional extra, in a process of its own, a client of the daemon."""
