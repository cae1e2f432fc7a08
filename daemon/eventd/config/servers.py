"""Servers and how to log in to them: from the keys of a section, and from what it inherits."""

from pathlib import Path

import msgspec

from ..errors import ConfigError
from ..routes import EMBEDDED, Credentials, Server, Tls
from ..secret import Secret
from .files import Files
from .merge import filled, given
from .problems import KeyPath, Report
from .schema import RouteSection, TlsSection
from .urls import NOTHING, parse_url


class Servers:
    """Makes servers of sections; what is wrong goes into the report."""

    def __init__(self, report: Report, files: Files) -> None:
        self._report = report
        self._files = files

    def server(self, section: RouteSection, path: KeyPath, parent: Server) -> Server:
        """Return the server of a section.

        What belongs to the parent's server is inherited only while all servers are among the parent's.
        """
        urls, url_login = self._url(section, path, parent)
        login = self._credentials(section, path)
        if NOTHING not in (url_login, login):
            self._report.problem(path, "has credentials in the url and in keys beside it; keep one of them")
        own = login if login != NOTHING else url_login
        stays = set(urls) <= set(parent.urls)
        server = Server(
            urls=urls,
            credentials=own if own != NOTHING or not stays else parent.credentials,
            tls=self._tls(section.tls, (*path, "tls"), parent.tls if stays else None),
            js_domain=given(section.js_domain, parent.js_domain if stays else None),
        )
        if server.embedded and server != Server((EMBEDDED,)):
            self._report.problem(
                path,
                "the embedded server makes its own credentials and needs no tls or jsDomain; set a url too",
            )
        return server

    def _url(
        self, section: RouteSection, path: KeyPath, parent: Server
    ) -> tuple[tuple[str, ...], Credentials]:
        if section.url is not None and section.nats_url not in (None, section.url):
            self._report.problem(
                (*path, "natsUrl"), "is another name of url, which has another value; keep url"
            )
        url, key = (section.url, "url") if section.url is not None else (section.nats_url, "natsUrl")
        if url is None:
            return parent.urls, NOTHING
        try:
            parsed = parse_url(url.reveal())
        except ValueError as error:
            self._report.problem((*path, key), str(error))
            return (), NOTHING
        if parsed.credentials != NOTHING:
            self._files.holds_secret((*path, key))
        return parsed.urls, parsed.credentials

    def _credentials(self, section: RouteSection, path: KeyPath) -> Credentials:
        password = self.secret(section.password, section.password_file, (*path, "password"))
        token = self.secret(section.nats_token, section.nats_token_file, (*path, "natsToken"))
        seed = self.secret(section.nkey_seed, section.nkey_seed_file, (*path, "nkeySeed"))
        creds = self._files.existing(section.creds_file, (*path, "credsFile"), secret=True)
        ways = {
            "user": section.user is not None or password is not None,
            "natsToken": token is not None,
            "credsFile": creds is not None,
            "nkeySeed": seed is not None,
        }
        chosen = [way for way, used in ways.items() if used]
        if len(chosen) > 1:
            self._report.problem(
                self._written((*path, chosen[1])),
                f"{' and '.join(chosen)} are different ways to log in; keep one of them",
            )
        if section.user is not None and password is None:
            self._report.problem((*path, "user"), "has no password; add passwordFile or password")
        if section.user is None and password is not None:
            self._report.problem(self._written((*path, "password")), "has no user beside it")
        return Credentials(section.user, password, token, creds, seed)

    def _tls(self, section: TlsSection | None, path: KeyPath, parent: Tls | None) -> Tls | None:
        if section is None:
            return parent
        own = msgspec.structs.replace(
            section,
            ca_file=self._files.existing(section.ca_file, (*path, "caFile")),
            cert_file=self._files.existing(section.cert_file, (*path, "certFile")),
            key_file=self._files.existing(section.key_file, (*path, "keyFile"), secret=True),
        )
        tls = filled(parent or Tls(), own)
        if (tls.cert_file is None) != (tls.key_file is None):
            self._report.problem(path, "certFile and keyFile belong together")
        return tls if tls != Tls() else None

    def secret(self, value: Secret | None, file: Path | None, path: KeyPath) -> Secret | None:
        """Return a secret given by value or, under the same key with `File`, in a file of its own."""
        file_path = _with_file(path)
        if value is not None:
            self._files.holds_secret(path)
            if file is not None:
                self._report.problem(file_path, f"{path[-1]} is given too; keep one of them")
            return value
        found = self._files.path(file)
        if found is None:
            return None
        secret = Secret(path=found)
        if self._files.check(found, file_path, secret=True):
            try:
                secret.reveal()
            except ConfigError as error:
                self._report.problem(file_path, str(error))
        return secret

    def _written(self, path: KeyPath) -> KeyPath:
        """Return the key of a secret as it stands in the file: with or without `File`."""
        return path if path in self._report.lines else _with_file(path)


def _with_file(path: KeyPath) -> KeyPath:
    return (*path[:-1], f"{path[-1]}File")
