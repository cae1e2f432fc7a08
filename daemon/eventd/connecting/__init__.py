"""Connects agent tools with eventd: their configuration is edited in place, and can be put back as it was.

Begin reading at `connector`; a tool's own ways are in the module with its name.
"""
