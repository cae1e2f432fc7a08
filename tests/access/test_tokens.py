"""Tokens: random, kept as hashes, rotated and revoked by their files alone."""

import os
import stat
from pathlib import Path

import pytest

from eventd.access.tokens import (
    AdminToken,
    TokenFolder,
    TokensUnusable,
    digest_of,
    is_known,
    new_token,
)
from eventd.secret import HASHED, lines_of


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFolder:
    return TokenFolder(tmp_path / "tokens")


def is_good(tokens: TokenFolder, agent: str, token: str) -> bool:
    return is_known(digest_of(token), tokens.lines(agent) or [])


def test_a_token_is_random_and_knows_its_kind() -> None:
    """256 bits, and recognisable, so that scanners find one that got lost."""
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith("evt_") and len(token) >= 47 for token in made)


def test_lines_may_be_plain_or_hashed() -> None:
    """A person writes tokens into a file; what eventd makes is only there as its hash."""
    lines = lines_of(f"# of bob\n\n  plain  \n{HASHED}{digest_of('hidden').upper()}\n#plain2\n")
    assert [is_known(digest_of(token), lines) for token in ("plain", "hidden")] == [True, True]
    for wrong in ("", "plain2", "Plain", "plain ", HASHED, HASHED + digest_of("hidden"), lines[1]):
        assert not is_known(digest_of(wrong), lines)


def test_nothing_is_known_by_no_line() -> None:
    assert not is_known(digest_of(""), [])
    assert not is_known(digest_of("x"), lines_of("\n# x\n"))


def test_a_made_token_is_kept_as_a_hash_only(tokens: TokenFolder) -> None:
    """Files and folder are for the daemon's user alone."""
    token = tokens.make("alice")
    (file,) = tokens.path.iterdir()
    assert token not in file.read_text()
    assert is_good(tokens, "alice", token)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o700


def test_a_new_token_replaces_the_old_one_or_joins_it(tokens: TokenFolder) -> None:
    """Rotation, at once or with an overlap."""
    first = tokens.make("alice")
    second = tokens.make("alice", keep=True)
    assert is_good(tokens, "alice", first)
    assert is_good(tokens, "alice", second)
    third = tokens.make("alice")
    assert [is_good(tokens, "alice", token) for token in (first, second, third)] == [False, False, True]


def test_who_has_no_token_left_is_locked_out_and_not_set_free(tokens: TokenFolder) -> None:
    """Revoking the last token must not open the door; `drop` does, on purpose."""
    token = tokens.make("alice")
    tokens.revoke("alice")
    assert (tokens.agents(), tokens.lines("alice")) == ({"alice"}, [])
    assert not is_good(tokens, "alice", token)
    assert tokens.drop("alice")
    assert (tokens.agents(), tokens.lines("alice")) == (set(), None)
    assert not tokens.drop("alice")


@pytest.mark.parametrize(
    "agent", ["../x", "..", ".", "a/b", "a b", "né", "A", "*", "x" * 64, "%41", "a\x00b"]
)
def test_any_name_is_a_file_of_its_own_in_the_folder(tokens: TokenFolder, agent: str) -> None:
    """Names with dots and slashes lead nowhere else, and none is taken for another one's."""
    token = tokens.make(agent)
    tokens.make("a")
    assert tokens.agents() == {agent, "a"}
    assert [file.parent for file in tokens.path.iterdir()] == [tokens.path] * 2
    assert is_good(tokens, agent, token)
    assert not is_good(tokens, "a", token)
    assert sorted(entry.agent for entry in tokens.entries()) == sorted([agent, "a"])


def test_files_of_others_are_passed_over(tokens: TokenFolder) -> None:
    """An editor's backup is no agent, and neither is what a crash left half written."""
    tokens.make("alice")
    for name in ("alice~", ".alice.1234.new", "a%2"):
        (tokens.path / name).write_text("x")
    assert tokens.agents() == {"alice"}


def test_a_folder_that_is_none_is_told(tokens: TokenFolder) -> None:
    """Rather than taken for one without tokens."""
    tokens.path.write_text("")
    with pytest.raises(TokensUnusable, match="cannot read"):
        tokens.agents()
    with pytest.raises(TokensUnusable, match="cannot write"):
        tokens.make("alice")


def test_a_file_that_cannot_be_read_is_told(tokens: TokenFolder) -> None:
    tokens.make("alice")
    (tokens.path / "alice").write_bytes(b"\xff\xfe")
    with pytest.raises(TokensUnusable, match="it is no text"):
        tokens.lines("alice")


def test_the_administrators_token_is_made_once(tmp_path: Path) -> None:
    """Private from its first moment; a later start keeps it."""
    token = AdminToken(tmp_path / "admin.token")
    assert token.lines() == []
    token.ensure()
    made = token.path.read_text()
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600
    token.ensure()
    assert token.path.read_text() == made
    assert is_known(digest_of(made.strip()), token.lines())


def test_it_cannot_be_made_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(TokensUnusable, match="cannot write"):
        AdminToken(tmp_path / "missing" / "admin.token").ensure()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_makes_belongs_to_the_daemons_user(tmp_path: Path) -> None:
    """`sudo eventd token new` must not leave a file that the daemon cannot read."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 4321, 4322)
    tokens = TokenFolder(data / "tokens")
    tokens.make("alice")
    for path in (tokens.path, tokens.path / "alice"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4321, 4322)


def test_names_that_differ_in_capitals_have_files_that_differ_everywhere(tokens: TokenFolder) -> None:
    """Some disks take capitals for small letters."""
    for agent in ("main", "Main", "MAIN"):
        tokens.make(agent)
    names = [file.name for file in tokens.path.iterdir()]
    assert len({name.casefold() for name in names}) == 3
    assert tokens.agents() == {"main", "Main", "MAIN"}
