"""YAML as nodes: merges, keys as written, and any text at all."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.config.load import load_text
from eventd.config.problems import InvalidConfig
from eventd.errors import ConfigError


def test_merge_keys_bring_what_the_entry_does_not_have() -> None:
    """`<<` is ordinary YAML; the entry's own keys win, and are no duplicates of merged ones."""
    text = """
base: &base {streamName: base, subjectPrefix: p.base}
more: &more {<<: *base, jsDomain: hub, streamName: more}
gateway:
  eventStore:
    url: nats://h
    agents:
      one: &one {<<: *more, subjectPrefix: p.one}
      two: {<<: [*base, *more], streamName: two}
      three: *one
"""
    agents = load_text(text, None, {}).routes.by_agent
    found = {name: (route.stream, route.prefix, route.server.js_domain) for name, route in agents.items()}
    assert found == {
        "one": ("more", "p.one", "hub"),
        "two": ("two", "p.base", "hub"),
        "three": ("more", "p.one", "hub"),
    }


def test_a_merged_problem_is_told_where_it_stands() -> None:
    """The line is that of the text to correct, not of the place that uses it."""
    text = "base: &base\n  replicas: 9\ngateway:\n  eventStore:\n    stream:\n      <<: *base\n"
    with pytest.raises(InvalidConfig, match=r"^config.yml:2: gateway.eventStore.stream.replicas: "):
        load_text(text, None, {})


def test_a_mapping_that_merges_itself_ends() -> None:
    """A loop in the file is not one in the daemon."""
    load_text("gateway:\n  eventStore: &self\n    <<: *self\n    streamName: s\n", None, {})


def test_agents_are_called_as_they_are_written() -> None:
    """YAML reads `on` as true and `007` as 7; an agent keeps its name."""
    text = "gateway: {eventStore: {agents: {on: {}, 007: {}, 1e3: , ~: {}}}}"
    assert list(load_text(text, None, {}).routes.by_agent) == ["on", "007", "1e3", "~"]


def test_a_key_that_is_no_text_is_refused() -> None:
    """`{{ name }}` of a template engine that did not run, for one."""
    with pytest.raises(InvalidConfig, match=r"config.yml:1: gateway.eventStore: a key has to be text"):
        load_text("gateway: {eventStore: {{name}: 1}}", Path("config.yml"), {})


SCALARS = st.sampled_from(
    ["1", "5m", "embedded", "nats://h", "true", "null", "''", "[1]", "{a: 1}", "*x", "!t v"]
)
KEYS = st.sampled_from(
    ["url", "agents", "outbox", "stream", "maxBytes", "tls", "log", "level", "<<", "x", "&x a"]
)
LINES = st.builds(
    "{}{}: {}".format, st.sampled_from(["", "  ", "    ", "      "]), KEYS, SCALARS | st.just("")
)


@given(st.text(max_size=60) | st.lists(LINES, max_size=8).map("\n".join), st.booleans())
def test_any_text_loads_or_is_a_config_error(text: str, ours: bool) -> None:
    """The invariant of the loader: a configuration, or one error that says what is wrong."""
    if ours:
        text = "gateway:\n  eventStore:\n" + "".join(f"    {line}\n" for line in text.splitlines())
    with contextlib.suppress(ConfigError):
        load_text(text, None, {})
