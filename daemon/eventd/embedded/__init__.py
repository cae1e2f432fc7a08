"""The nats-server that eventd runs itself: found, started on loopback, watched, never orphaned.

`server.EmbeddedServer` is the way in.
"""
