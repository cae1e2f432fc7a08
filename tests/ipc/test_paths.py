"""Where the socket is, and that nobody else could have put it there."""

import os
from pathlib import Path

import pytest

from eventd_ipc import paths
from eventd_ipc.errors import UnsafeSocket
from eventd_ipc.paths import check_folder, client_sockets, prepare_folder, server_socket
from support.users import only_root

USER = 4711


@pytest.fixture
def a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user, whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: USER)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_named_socket_is_the_only_place(a_user: None, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"EVENTD_SOCKET": "/a/one.sock", "XDG_RUNTIME_DIR": "/x"}
    assert list(client_sockets(environ=environ)) == [Path("/a/one.sock")]
    assert list(client_sockets("/b/two.sock", environ)) == [Path("/b/two.sock")]
    assert server_socket(environ=environ) == Path("/a/one.sock")
    assert server_socket("/b/two.sock", environ) == Path("/b/two.sock")


def test_named_socket_may_begin_with_the_home_folder() -> None:
    assert server_socket("~/e.sock", {}) == Path.home() / "e.sock"


def test_client_looks_from_the_nearest_to_the_farthest(a_user: None) -> None:
    places = [str(place) for place in client_sockets(environ={"XDG_RUNTIME_DIR": "/x"})]
    assert places[:3] == [
        "/x/eventd/eventd.sock",
        f"/run/user/{USER}/eventd/eventd.sock",
        "/run/eventd/eventd.sock",
    ]
    assert places[3].startswith(str(Path.home()))
    assert len(places) == 4


def test_root_looks_where_roots_daemon_is(root: None) -> None:
    """/run/user/0 goes away when root logs out."""
    assert next(client_sockets(environ={})) == Path("/run/eventd/eventd.sock")


def test_server_takes_the_runtime_folder(a_user: None, tmp_path: Path) -> None:
    socket = server_socket(environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert socket == tmp_path / "eventd" / "eventd.sock"


def test_server_passes_over_a_runtime_folder_that_is_not_there(a_user: None, tmp_path: Path) -> None:
    """As after `su`, which keeps the variable."""
    socket = server_socket(environ={"XDG_RUNTIME_DIR": str(tmp_path / "gone")})
    assert tmp_path not in socket.parents


def test_server_and_client_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the server goes, the client looks."""
    monkeypatch.setattr(paths, "SYSTEM_FOLDER", tmp_path / "run" / "eventd")
    for environ in ({}, {"XDG_RUNTIME_DIR": str(tmp_path)}):
        for folder in (None, tmp_path / "run", tmp_path / "run" / "eventd"):
            if folder is not None:
                folder.mkdir(exist_ok=True)
            assert server_socket(environ=environ) in list(client_sockets(environ=environ))


@pytest.mark.parametrize("user", [USER, 0])
def test_system_folder_is_used_by_those_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    """The service's user finds it made by systemd; root makes it."""
    folder = tmp_path / "eventd"
    monkeypatch.setattr(paths, "SYSTEM_FOLDER", folder)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if user:
        assert server_socket(environ={}) != folder / "eventd.sock"
        folder.mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid)
    assert server_socket(environ={}) == folder / "eventd.sock"


def test_own_folder_is_fine(short_tmp: Path) -> None:
    """Also below /tmp, whose sticky bit keeps others from moving it away."""
    check_folder(short_tmp)


def test_folder_in_which_all_can_write_is_refused_even_if_sticky() -> None:
    with pytest.raises(UnsafeSocket, match="/tmp"):
        check_folder(Path("/tmp"))


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_folder_that_others_can_write_is_refused(short_tmp: Path, mode: int) -> None:
    short_tmp.chmod(mode)
    with pytest.raises(UnsafeSocket, match=f"{mode:04o}") as caught:
        check_folder(short_tmp)
    assert f"chmod go-w {short_tmp}" in caught.value.hint


def test_folder_below_one_that_others_can_write_is_refused(short_tmp: Path) -> None:
    """They could put another one in its place."""
    below = short_tmp / "a" / "b"
    below.mkdir(parents=True)
    short_tmp.chmod(0o777)
    with pytest.raises(UnsafeSocket, match=f"{short_tmp} "):
        check_folder(below)


def test_folder_that_all_can_read_is_fine(short_tmp: Path) -> None:
    short_tmp.chmod(0o755)
    check_folder(short_tmp)


def test_folder_of_another_user_is_refused(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    if owner == 0:
        os.chown(short_tmp, USER, -1)
        owner = USER
    else:
        monkeypatch.setattr(os, "geteuid", lambda: USER)
    with pytest.raises(UnsafeSocket, match=f"uid {owner}"):
        check_folder(short_tmp)


@pytest.fixture
def given(short_tmp: Path) -> Path:
    """A folder that root gave to a user, as /run/eventd."""
    folder = short_tmp / "given"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@only_root
def test_folder_that_root_gave_away_is_fine_for_clients(given: Path, short_tmp: Path) -> None:
    """Also by a link of root's, as /var/run is one to /run."""
    check_folder(given)
    (short_tmp / "link").symlink_to(given.parent)
    check_folder(short_tmp / "link" / "given")


@only_root
def test_folder_that_root_gave_away_is_not_for_the_daemon_of_another(given: Path) -> None:
    """Its owner could put another socket there, and be told tokens."""
    with pytest.raises(UnsafeSocket, match=f"uid {USER}"):
        prepare_folder(given)


@only_root
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_folder_in_one_where_others_write_was_not_given_by_root(given: Path, mode: int) -> None:
    """Anybody could have made it."""
    given.parent.chmod(mode)
    with pytest.raises(UnsafeSocket):
        check_folder(given)


@only_root
def test_folder_in_that_of_another_user_was_not_given_by_root(given: Path) -> None:
    """Who has got a folder does not give parts of it on."""
    (below := given / "below").mkdir()
    os.chown(below, USER + 1, -1)
    with pytest.raises(UnsafeSocket):
        check_folder(below)


def test_link_is_followed_and_both_ends_are_looked_at(short_tmp: Path) -> None:
    real, link = short_tmp / "real", short_tmp / "link"
    real.mkdir()
    link.symlink_to(real)
    check_folder(link)
    real.chmod(0o777)
    with pytest.raises(UnsafeSocket, match="real"):
        check_folder(link)


def test_link_in_an_unsafe_place_is_refused(short_tmp: Path) -> None:
    """However safe the folder is to which it leads: it could be turned."""
    (real := short_tmp / "real").mkdir()
    (loose := short_tmp / "loose").mkdir()
    (loose / "link").symlink_to(real)
    loose.chmod(0o777)
    with pytest.raises(UnsafeSocket, match="loose"):
        check_folder(loose / "link")


def test_file_is_no_folder(short_tmp: Path) -> None:
    (short_tmp / "file").touch()
    with pytest.raises(UnsafeSocket, match="not a folder"):
        check_folder(short_tmp / "file")


def test_missing_folder_is_an_ordinary_error(short_tmp: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_folder(short_tmp / "gone")


def test_prepared_folders_are_their_owners_alone(short_tmp: Path) -> None:
    """All that had to be made, whatever the umask."""
    umask = os.umask(0)
    try:
        prepare_folder(short_tmp / "a" / "b")
    finally:
        os.umask(umask)
    assert [(short_tmp / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


def test_prepared_folder_that_was_there_is_checked(short_tmp: Path) -> None:
    short_tmp.chmod(0o777)
    with pytest.raises(UnsafeSocket):
        prepare_folder(short_tmp)
