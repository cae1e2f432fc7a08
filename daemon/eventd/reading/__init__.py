"""Answers what is asked about stored events: from the index, and from JetStream where that is meant."""
