"""Keys of accounts: secp256k1 as TRON has it, so that an account of the ledger is an address of the chain.

Signatures are 64 bytes, r and s big-endian, with the lower of the two possible s: one message, one key, one
form, and nothing to play with in the encoding (SEC 1, and BIP 62 on malleability).
"""

import hashlib
from functools import lru_cache
from typing import NewType

import base58
from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, der_to_cdata, deserialize_compact, serialize_compact
from Crypto.Hash import keccak

from appliance.core.errors import OwnerMustAct, PeerMisbehaved

Address = NewType("Address", str)
"""34 characters of Base58Check, beginning with T (TRON: version byte 0x41 before 20 bytes of Keccak-256)."""

KEY_BYTES = 33
SIGNATURE_BYTES = 64
_VERSION = b"\x41"
_ADDRESS_BYTES = 21


class Key:
    """A private key; it prints as its address and nothing more."""

    __slots__ = ("_private", "address", "public")

    def __init__(self, secret: bytes) -> None:
        """`secret` is 32 bytes. Raises OwnerMustAct where they are no key."""
        try:
            self._private = PrivateKey(secret)
        except ValueError as error:
            raise OwnerMustAct("This is not a private key: not every 32 bytes are one.") from error
        self.public: bytes = self._private.public_key.format(compressed=True)
        self.address = address_of(self.public)

    @classmethod
    def make(cls) -> "Key":
        """A new one, from the system's randomness."""
        return cls(PrivateKey().secret)

    @property
    def secret(self) -> bytes:
        """The 32 bytes, to be kept."""
        return self._private.secret

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """64 bytes over `message` in its domain."""
        der = self._private.sign(digest(domain, message), hasher=None)
        return bytes(serialize_compact(der_to_cdata(der)))

    def sign_recoverable(self, hashed: bytes) -> bytes:
        """65 bytes over a hash of 32, as TRON wants them: r, s, and the recovery id."""
        return self._private.sign_recoverable(hashed, hasher=None)

    def __repr__(self) -> str:
        return f"Key({self.address})"


def digest(domain: bytes, message: bytes) -> bytes:
    """SHA-256 of a message that means something in one domain only."""
    return hashlib.sha256(domain + b"\0" + message).digest()


def verify(public: bytes, domain: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this key has signed; False for every malformed key or signature, and for the higher s."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        # libsecp256k1 takes no r or s beyond the group's order, and verifies the lower s alone.
        der = cdata_to_der(deserialize_compact(signature))
        return bool(_parsed(public).verify(der, digest(domain, message), hasher=None))
    except ValueError:
        return False


@lru_cache(maxsize=4_096)
def address_of(public: bytes) -> Address:
    """The address of a compressed public key. Raises PeerMisbehaved where that is no point of the curve."""
    try:
        raw = _parsed(public).format(compressed=False)[1:]
    except ValueError as error:
        raise PeerMisbehaved("This is not a public key.") from error
    tail = keccak.new(digest_bits=256, data=raw).digest()[-20:]
    return Address(base58.b58encode_check(_VERSION + tail).decode())


def parse_address(text: str) -> Address:
    """An address that somebody typed. Raises OwnerMustAct where a character is wrong."""
    raw = _decoded(text.strip()[:40])
    if len(raw) != _ADDRESS_BYTES or raw[:1] != _VERSION:
        raise OwnerMustAct(
            f'"{text.strip()[:40]}" is not a TRON address: those have 34 characters and begin with T. '
            "Copy it again."
        )
    return Address(text.strip())


@lru_cache(maxsize=4_096)
def _decoded(text: str) -> bytes:
    """The 25 bytes' content, empty where the checksum is wrong. Base58 is slow, and the same come again."""
    try:
        return bytes(base58.b58decode_check(text.encode("ascii", "replace")))
    except ValueError:
        return b""


@lru_cache(maxsize=1_024)
def _parsed(public: bytes) -> PublicKey:
    """Finding the point costs a fifth of a verification, and few keys sign very often."""
    if len(public) != KEY_BYTES:
        raise ValueError("not a compressed key")
    return PublicKey(public)
