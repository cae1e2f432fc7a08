"""The tools of `eventd mcp`, asked by the library's own client, as a process with a real daemon behind it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

from cli.support import Eventd
from eventd_ipc.blocking import connect
from eventd_ipc.builders import Run, message_in
from support.daemon import Daemon
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

AGENT = "claude-code"
SAID = "The offer for Anna is due on Friday."


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon that knows something."""
    with (
        tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder,
        NatsServer(Path(folder) / "nats") as server,
        Daemon(Path(folder) / "d", {"url": server.url}) as daemon,
    ):
        with connect(AGENT, socket=daemon.socket) as client:
            client.emit(message_in(Run(f"agent:{AGENT}:s1"), SAID))
        daemon.wait_shipped()
        daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index has it")
        yield daemon


@asynccontextmanager
async def tools(daemon: Daemon, **environ: str) -> AsyncIterator[Client]:
    """Start `eventd mcp`, as a tool that speaks MCP does."""
    words = ["-m", "eventd", "--socket", str(daemon.socket), "mcp", "--agent", AGENT]
    async with Client(StdioServerParameters(command=sys.executable, args=words, env=environ)) as client:
        yield client


async def call(client: Client, name: str, **arguments: Any) -> str:
    """Return the text of an answer that is no error."""
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    return text_of(answer)


def text_of(answer: Any) -> str:
    [content] = answer.content
    assert isinstance(content, TextContent)
    return content.text


async def test_the_answers_are_those_of_the_command_line(daemon: Daemon) -> None:
    """Four tools, with few words; recall, context and get say what the commands say."""
    eventd = Eventd(["--socket", daemon.socket])
    async with tools(daemon) as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == {"recall", "context", "get", "remember"}
        assert len(json.dumps([tool.model_dump(mode="json", exclude_none=True) for tool in listed])) < 4000
        assert [tool.name for tool in listed if not tool.annotations.read_only_hint] == ["remember"]  # type: ignore[union-attr]
        [hit] = (await call(client, "recall", text="offer Anna", since="7d")).splitlines()
        expected = eventd("recall", "offer", "Anna", "--since", "7d", "--agent", AGENT, "--json")
        assert [json.loads(hit)] == expected.objects
        assert await call(client, "recall", text="zebra") == "nothing was found"
        block = await call(client, "context", query="What about Anna?")
        same = eventd("context", "--agent", AGENT, "--query", "What about Anna?").out.decode()
        assert block.strip() == same.strip()
        assert SAID in block
        event = json.loads(await call(client, "get", event_id=json.loads(hit)["id"]))
        assert [event] == eventd("get", json.loads(hit)["id"], "--json").objects


async def test_a_fact_is_kept_with_where_it_comes_from(daemon: Daemon) -> None:
    """For every later context; a newer one replaces it, and a secret in it is not stored."""
    async with tools(daemon) as client:
        first = await call(client, "remember", text="Anna prefers calls.", subject="Anna")
        event = json.loads(await call(client, "get", event_id=first))["event"]
        assert (event["agent"], event["type"], event["session"]) == (
            AGENT, "memory.fact", f"agent:{AGENT}:mcp",
        )  # fmt: skip
        assert event["payload"]["data"] == {"text": "Anna prefers calls.", "subject": "Anna"}
        assert event["meta"]["origin"] == "agent"
        source = event["meta"]["source"]
        assert (source["via"], source["cwd"]) == ("mcp", str(Path.cwd()))
        assert source["client"].startswith("mcp/")
        secret = "ghp_" + "a1B2" * 9
        second = await call(
            client, "remember", text=f"Anna prefers mail; token {secret}", category=secret, replaces=first
        )
        assert secret not in await call(client, "get", event_id=second)
        block = await call(client, "context")
        assert "Anna prefers mail; token [redacted:github-token]" in block
        assert "calls" not in block
        assert secret not in block


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("recall", {"text": "  "}, "give some words"),
        ("recall", {"text": "x", "since": "soon"}, "since: 'soon'"),
        ("recall", {"text": "x", "limit": 1000}, "limit"),
        ("get", {"event_id": "nothing-like-it"}, "no event"),
        ("remember", {"text": ""}, "empty text"),
        ("remember", {"text": "x" * 5000}, "at most 4,000 characters"),
        ("remember", {"text": "x", "subject": "x" * 5000}, "at most 200 characters"),
        ("get", {"event_id": ""}, "at least 1 character"),
        ("context", {"budget": 10**30}, "cannot be sent"),
    ],
    ids=range(9),
)
async def test_mistakes_are_told_in_words(
    daemon: Daemon, name: str, arguments: dict[str, Any], says: str
) -> None:
    """As errors of the tool, which a model can read and mend."""
    from eventd.cli.views import as_json
    from eventd.mcpserver.memory import Memory
    from eventd.mcpserver.server import build

    memory = Memory(AGENT, lambda agent: connect(agent, socket=daemon.socket), as_json)
    async with Client(build(memory, "0")) as client:  # the same server, in this process
        answer = await client.call_tool(name, arguments)
    assert answer.is_error
    assert says in text_of(answer)


async def test_a_daemon_that_is_away_comes_back_and_asks_for_a_token(short_tmp: Path) -> None:
    """Each is told as an error of the tool.

    The administrator's token, which this user could read, is not shown: a model would see everybody's events.
    """
    daemon = Daemon(short_tmp / "d", {"url": "nats://127.0.0.1:1"})
    token = short_tmp / "token"
    token.write_text("a-secret-of-claude\n")
    token.chmod(0o600)
    try:
        async with tools(daemon, EVENTD_CONFIG=str(daemon.config)) as client:
            away = await client.call_tool("recall", {"text": "Anna"})
            assert away.is_error
            assert "eventd is not running" in text_of(away)
            assert "eventd run" in text_of(away)
            daemon.start()
            assert (await call(client, "recall", text="Anna")).startswith("nothing was found")
            daemon.kill()
            daemon.settings["agents"] = {AGENT: {"tokenFile": str(token)}}
            daemon.start()
            refused = await client.call_tool("recall", {"text": "Anna"})
            assert refused.is_error
            assert "token" in text_of(refused)
    finally:
        daemon.kill()


def test_without_the_extra() -> None:
    """It says which command brings it; and nothing else of eventd loads the library."""
    script = """
import sys, eventd.app, eventd.cli.connect, eventd.cli.mcp, eventd.doctor.tools
from eventd.cli.main import main
print(*({"mcp", "pydantic", "starlette"} & set(sys.modules)))
sys.modules["mcp"] = None
sys.exit(main(["mcp"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "\n")
    assert "hint: pip install 'openclaw-eventd[mcp]'" in done.stderr
