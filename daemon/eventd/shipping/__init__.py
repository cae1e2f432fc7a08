"""Shipping: one shipper per route moves rows from the outbox to the stream, each once, in accept order."""
