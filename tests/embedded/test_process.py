"""A child of ours ends with us, however we end; with and without help from the kernel."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from eventd.embedded import guard, process
from eventd.embedded.process import describe_exit, guarded_process
from support.processes import alive
from support.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.anyio

SHELL = Path("/bin/sh")

# Says its id, then sleeps, deaf to SIGTERM if asked to be.
SLEEPER = "echo $$; while :; do sleep 0.05; done"
DEAF = f"trap '' TERM; {SLEEPER}"


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(
            True, id="exec", marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
        ),
        pytest.param(False, id="watch"),
    ],
)
def tie(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways in which a child is tied to us, also on Linux."""
    monkeypatch.setattr(process, "PARENT_DEATH_SIGNAL", request.param)
    return bool(request.param)


async def first_line(child: process.GuardedProcess, lines: list[str]) -> int:
    """Wait for the child's own id."""
    return int((await wait_until_async(lambda: lines, what="the child speaks"))[0])


async def run(script: str) -> tuple[int, list[str]]:
    """Run a script to its end; return how it ended and what it said."""
    lines: list[str] = []
    async with guarded_process([SHELL, "-c", script]) as child:
        await child.read_lines(lines.append)
        return await child.wait(), lines


async def test_output_and_status_come_through() -> None:
    """Both outputs, line by line, the last one also without its newline."""
    assert await run("echo one; echo two >&2; printf three; exit 7") == (7, ["one", "two", "three"])


@pytest.mark.parametrize("number", ["TERM", "KILL", "SEGV"])
async def test_death_by_signal_is_told(number: str) -> None:
    """A guard in between ends by the same signal."""
    status, _ = await run(f"kill -{number} $$")
    assert describe_exit(status) == f"killed by SIG{number}"


async def test_a_program_that_cannot_run_is_named() -> None:
    """The reason is in the output."""
    lines: list[str] = []
    async with guarded_process([Path("/nowhere/at/all")]) as child:
        await child.read_lines(lines.append)
        assert await child.wait() == 1
    assert lines == ["cannot run /nowhere/at/all: No such file or directory"]


async def test_environment_and_descriptors_are_the_chosen_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in our environment stay ours, and only the descriptors that were passed arrive."""
    monkeypatch.setenv("EVENTD_TOKEN", "hush")
    kept, closed = os.pipe()
    try:
        _, lines = await run("env")
        assert not [line for line in lines if "hush" in line]
        lines = []
        script = (
            f"import os; os.fstat({kept}); print('kept')\n"
            f"try: os.fstat({closed})\nexcept OSError: print('closed')"
        )
        async with guarded_process([sys.executable, "-c", script], pass_fds=[kept]) as child:
            await child.read_lines(lines.append)
        assert lines == ["kept", "closed"]
    finally:
        os.close(kept)
        os.close(closed)


async def test_stop_asks_first() -> None:
    """A child that obeys SIGTERM ends in its own way."""
    lines: list[str] = []
    async with (
        guarded_process([SHELL, "-c", f"trap 'echo bye; exit 3' TERM; {SLEEPER}"]) as child,
        anyio.create_task_group() as group,
    ):
        group.start_soon(child.read_lines, lines.append)
        await first_line(child, lines)
        await child.stop(timeout=10)
        assert child.returncode == 3
    assert lines[1:] == ["bye"]


async def test_stop_insists_when_time_is_up() -> None:
    """A deaf child is killed."""
    lines: list[str] = []
    async with guarded_process([SHELL, "-c", DEAF]) as child, anyio.create_task_group() as group:
        group.start_soon(child.read_lines, lines.append)
        pid = await first_line(child, lines)
        await child.stop(timeout=0.05)
        assert describe_exit(child.returncode or 0) == "killed by SIGKILL"
    await wait_until_async(lambda: not alive(pid))


@pytest.mark.parametrize("checkpoints", [0, 1, 2, 3, 5, 8])
async def test_cancelled_at_any_moment_leaves_nothing(tmp_path: Path, checkpoints: int) -> None:
    """From before it is started until it runs: after the cancellation the child is gone."""
    file = tmp_path / "pid"
    async with anyio.create_task_group() as group:

        async def start() -> None:
            async with guarded_process([SHELL, "-c", f"echo $$ > {file}; exec sleep 1000"]) as child:
                await child.wait()

        group.start_soon(start)
        for _ in range(checkpoints):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    if file.exists() and (text := file.read_text().strip()):
        await wait_until_async(lambda: not alive(int(text)), what="the child is gone")


def test_a_killed_daemon_takes_its_deaf_child_along(tie: bool) -> None:
    """kill -9 of the parent, and the child ends, though it ignores SIGTERM and is frozen."""
    script = (
        "import anyio, sys\n"
        "from pathlib import Path\n"
        "from eventd.embedded import process\n"
        f"process.PARENT_DEATH_SIGNAL = {tie}\n"
        "async def main():\n"
        f"    async with process.guarded_process([Path('/bin/sh'), '-c', {DEAF!r}]) as child:\n"
        "        await child.read_lines(lambda line: print(line, flush=True))\n"
        "anyio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        assert alive(pid)
        daemon.kill()
    wait_until(lambda: not alive(pid), what="the child is gone")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_parent_that_died_before_the_tie_is_noticed(tmp_path: Path) -> None:
    """Without the check the program would run for ever."""
    file = tmp_path / "ran"
    command = [sys.executable, "-I", "-S", guard.__file__, "exec", "1", "--", "/usr/bin/touch", str(file)]
    assert subprocess.run(command, check=False).returncode == guard.ORPHANED
    assert not file.exists()
