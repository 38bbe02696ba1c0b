"""The secrets of the web process: the password's hash, the cookie key, the claim code."""

import secrets
import threading
from pathlib import Path

import msgspec
from werkzeug.security import check_password_hash, generate_password_hash

from appliance.core.errors import OwnerMustAct
from appliance.core.files import write_durably

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
MOST_ENDED = 100
"""Sessions that were signed out one by one and are remembered; with one more, all sessions end."""
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that cannot be mistaken for each other."""


class _Kept(msgspec.Struct):
    cookie_key: str
    claim_code: str
    metrics_token: str
    password_hash: str = ""
    epoch: int = 0
    """Rises to end all sessions."""
    ended: tuple[str, ...] = ()
    """The sessions of this epoch that were signed out."""
    obeyed: str = ""
    """The last reset word that was obeyed."""


class Secrets:
    """The secrets of a box's page, in a file that only the user of this process can read."""

    def __init__(self, folder: Path) -> None:
        """Read the secrets, or make them the first time. Raises OwnerMustAct if the folder cannot be used."""
        self._path = folder / "secrets.json"
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kept = self._read()
        except OSError as error:
            raise OwnerMustAct(f"The page cannot store its password in {folder} ({error}).") from error

    def _read(self) -> _Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            pass
        except msgspec.DecodeError:
            # Without its secrets the page must be claimed again, by whoever sees the console.
            self._path.rename(self._path.with_suffix(".damaged"))
        kept = _Kept(secrets.token_hex(32), _claim_code(), secrets.token_urlsafe(24))
        write_durably(self._path, msgspec.json.encode(kept))
        return kept

    @property
    def cookie_key(self) -> str:
        """The key that signs the cookies."""
        return self._kept.cookie_key

    @property
    def claim_code(self) -> str:
        """The code that the first visitor must enter; empty once the page is claimed."""
        return "" if self._kept.password_hash else self._kept.claim_code

    @property
    def metrics_token(self) -> str:
        """The token that lets a monitoring system read /metrics."""
        return self._kept.metrics_token

    @property
    def epoch(self) -> int:
        """The number of the current sessions; those of another epoch have ended."""
        return self._kept.epoch

    def claim(self, code: str, password: str) -> bool:
        """Set the first password; False if the code is wrong. Raises OwnerMustAct if it is too short."""
        with self._lock:
            right = self.claim_code and secrets.compare_digest(_plain(code), _plain(self.claim_code))
            if not right:
                return False
            self._set(password)
            return True

    def change(self, old: str, new: str) -> bool:
        """Change the password and end all sessions; False if the old one is wrong."""
        with self._lock:
            if not self.right(old):
                return False
            self._set(new)
            return True

    def obey(self, word: str) -> bool:
        """Forget the password, end all sessions and make a new claim code, once per reset word.

        False if the word is empty or was obeyed before.
        """
        with self._lock:
            if not word or word == self._kept.obeyed:
                return False
            self._keep(
                claim_code=_claim_code(),
                metrics_token=secrets.token_urlsafe(24),
                password_hash="",
                epoch=self._kept.epoch + 1,
                obeyed=word,
            )
            return True

    def right(self, password: str) -> bool:
        """Whether this is the password (scrypt, by werkzeug)."""
        kept = self._kept.password_hash
        return bool(kept) and len(password) <= LONGEST_PASSWORD and check_password_hash(kept, password)

    def ended(self, session: str) -> bool:
        """Whether this session was signed out, whatever cookie still names it."""
        return session in self._kept.ended

    def end_session(self, session: str) -> None:
        """Sign this session out, for good; where too many are remembered, sign out everywhere."""
        with self._lock:
            if session in self._kept.ended:
                return
            if len(self._kept.ended) >= MOST_ENDED:
                self._keep(epoch=self._kept.epoch + 1, ended=())
            else:
                self._keep(ended=(*self._kept.ended, session))

    def end_sessions(self) -> None:
        """Sign out everywhere."""
        with self._lock:
            self._keep(epoch=self._kept.epoch + 1)

    def _set(self, password: str) -> None:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise OwnerMustAct(f"The password needs at least {SHORTEST_PASSWORD} characters.")
        self._keep(password_hash=generate_password_hash(password), epoch=self._kept.epoch + 1)

    def _keep(self, **changes: object) -> None:
        kept = msgspec.structs.replace(self._kept, **changes)
        write_durably(self._path, msgspec.json.encode(kept))
        self._kept = kept


def _claim_code() -> str:
    letters = [secrets.choice(_LETTERS) for _ in range(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def _plain(code: str) -> bytes:
    return "".join(code.upper().split()).replace("-", "").encode()
