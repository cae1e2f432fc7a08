"""The command that the hooks of agent tools call: their input becomes events, and the context their output.

It runs for every tool call, so it imports little: the standard library, and of eventd only what does the
same. Begin reading at `command`.
"""
