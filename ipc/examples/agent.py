"""The smallest agent with a memory: run it beside a running eventd, then look with `eventd tail`."""

from eventd_ipc import EventLog

with EventLog(agent="main", session="agent:main:example") as log:
    log.lifecycle_start()
    log.message_in("What is the capital of Austria?")
    log.message_out("Vienna.", model="example-model")
    log.lifecycle_end()
