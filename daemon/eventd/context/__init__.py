"""The context block: what an agent is told about its past when a session begins.

`build` in `builder` turns what the index holds into a block of text within a budget. It decides only: what it
needs to know it asks of a `Source`, on the thread that calls it, and it knows no clock. The same events give
the same bytes, so that prompt caches of model providers keep working.
"""
