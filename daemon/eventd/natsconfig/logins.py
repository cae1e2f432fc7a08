"""Logins: those that the configuration has already are kept, the others are made."""

import enum
import secrets
from dataclasses import dataclass

from ..errors import ConfigError
from ..nkey import new_seed, public_key
from ..routes import Credentials
from ..secret import Secret

PASSWORD_BYTES = 24  # of randomness in a new password; nobody has to remember it
MAX_PASSWORD = 72  # bytes; bcrypt looks at no more
BCRYPT_COST = 11  # as `nats server passwd` has it; about 0.1 s a login


class LoginKind(enum.StrEnum):
    """What a new login proves itself with."""

    NKEY = "nkey"
    PASSWORD = "password"  # noqa: S105 - a kind of login, not one


@dataclass(frozen=True, slots=True)
class Login:
    """One user of the server.

    Attributes:
        name: What it is called in comments and file names.
        secret: The password, or the nkey's seed.
        user: The user's name; None for an nkey, which is known by its public half alone.
        kept: Whether the configuration has it already.
    """

    name: str
    secret: Secret
    user: str | None
    kept: bool = False

    @property
    def public(self) -> str:
        """What the server's configuration calls it, unique in it: the user's name, or the public key."""
        return public_key(self.secret.reveal()) if self.user is None else self.user

    @property
    def credentials(self) -> Credentials:
        """The same as a client needs it."""
        if self.user is None:
            return Credentials(nkey_seed=self.secret)
        return Credentials(user=self.user, password=self.secret)

    def password_hash(self) -> str:
        """Return the password's bcrypt hash, another one each time.

        Raises:
            ConfigError: It is longer than bcrypt takes.
        """
        import bcrypt  # loaded for this command alone, and only where there are passwords

        password = self.secret.reveal().encode()
        if len(password) > MAX_PASSWORD:
            raise ConfigError(
                f"the password of {self.name} is longer than {MAX_PASSWORD} bytes, and bcrypt takes no more",
                hint="give it a shorter one, or leave its user and password out and have new ones made",
            )
        return bcrypt.hashpw(password, bcrypt.gensalt(BCRYPT_COST)).decode()


def new_login(name: str, kind: LoginKind) -> Login:
    """Return a login with a fresh secret."""
    if kind is LoginKind.NKEY:
        return Login(name, Secret(new_seed()), None)
    return Login(name, Secret(secrets.token_urlsafe(PASSWORD_BYTES)), name)


def written_login(name: str, secret: Secret) -> Login:
    """Return a new login of before, from what was written down of it: a seed, or a password.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        public_key(secret.reveal())
    except ValueError:
        return Login(name, secret, name, kept=True)
    return Login(name, secret, None, kept=True)


def kept_login(name: str, credentials: Credentials) -> Login | None:
    """Return the login that a configuration has, or None where it has none that can be kept.

    A token cannot be kept: a server has one for everybody.

    Raises:
        ConfigError: It is of a kind that does not stand in a server's configuration, or cannot be read.
    """
    if credentials.creds_file is not None:
        raise ConfigError(
            f"{name} logs in with {credentials.creds_file}, a JWT: that belongs to a server in operator mode",
            hint="such accounts and permissions are made with nsc; without credsFile a new login is made",
        )
    if credentials.nkey_seed is not None:
        login = Login(name, credentials.nkey_seed, None, kept=True)
        try:
            login.public  # noqa: B018 - a seed that is none is told with its name
        except ValueError as error:
            raise ConfigError(f"the nkeySeed of {name} cannot be used: {error}") from error
        return login
    if credentials.user is not None and credentials.password is not None:
        return Login(name, credentials.password, credentials.user, kept=True)
    return None
