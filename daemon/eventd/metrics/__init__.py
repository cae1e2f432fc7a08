"""Metrics for Prometheus: the numbers of the status document, by names that dashboards and alerts rely on."""
