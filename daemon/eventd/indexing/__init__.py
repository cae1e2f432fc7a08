"""Feeds the index: with what is accepted here, and with what others write into the routes' streams."""
