"""TRON's transfers as bytes: made here, read back here, and understood before anything is signed.

Sources: Tron.proto and the contracts' protos of java-tron (`protocol.Transaction.raw`, `TransferContract`,
`TransferAssetContract`, `TriggerSmartContract`); for TRC-20 the contract ABI's `transfer(address,uint256)`.
A node is never trusted to say what a transaction's bytes mean, nor what its id is.
"""

import hashlib
import re
from dataclasses import dataclass

import base58
from coincurve import PublicKey

from appliance.adapters.chain.protobuf import decode, encode
from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.core.keys import SIGNATURE_BYTES, Address, Key, address_of, parse_address

MOST_AMOUNT = 2**63 - 1
MOST_TRC20 = 2**256 - 1
LONGEST_MEMO = 200
"""Bytes that we send; each costs bandwidth."""
_ASSET = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_TRX, _TRC10, _CALL = 1, 2, 31
_URLS = {
    _TRX: b"type.googleapis.com/protocol.TransferContract",
    _TRC10: b"type.googleapis.com/protocol.TransferAssetContract",
    _CALL: b"type.googleapis.com/protocol.TriggerSmartContract",
}
_REF_BYTES, _REF_HASH, _EXPIRATION, _DATA, _CONTRACT, _TIMESTAMP, _FEE_LIMIT = 1, 4, 8, 10, 11, 14, 18
_SELECTOR = bytes.fromhex("a9059cbb")
"""First 4 bytes of Keccak-256("transfer(address,uint256)")."""
_WORD = 32


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one transaction moves."""

    owner: Address
    to: Address
    asset: str
    """Id of a TRC-10 token, such as `1002000`; the contract's address of a TRC-20 token; empty for TRX."""
    amount: int
    """Whole units, the smallest of the asset; SUN (10^-6) for TRX."""

    @property
    def is_call(self) -> bool:
        """Whether a contract moves the token (TRC-20), which costs energy."""
        return self.asset.startswith("T")


@dataclass(frozen=True, slots=True)
class Transaction:
    """The raw data of a transaction: what is hashed and signed."""

    transfer: Transfer
    ref_block_bytes: bytes
    """Bytes 6 and 7 of a recent block's number, and ..."""
    ref_block_hash: bytes
    """... bytes 8 to 15 of its id: the transaction counts on that chain only (TAPOS)."""
    expiration: int
    """ms of UTC; a block from then on cannot hold it."""
    timestamp: int
    memo: bytes = b""
    fee_limit: int = 0
    """The most SUN that a contract's energy may burn; for TRC-20 only."""


def serialise(transaction: Transaction) -> bytes:
    """The bytes that are signed. Raises OwnerMustAct for an impossible amount, asset or memo."""
    transfer = transaction.transfer
    if not 0 < transfer.amount <= (MOST_TRC20 if transfer.is_call else MOST_AMOUNT):
        raise OwnerMustAct(f"An amount of {transfer.amount} cannot be transferred.")
    if len(transaction.memo) > LONGEST_MEMO:
        raise OwnerMustAct(f"A memo has at most {LONGEST_MEMO} bytes.")
    kind, value = _contract(transfer)
    contract = encode([(1, kind), (2, encode([(1, _URLS[kind]), (2, value)]))])
    return encode(
        [
            (_REF_BYTES, transaction.ref_block_bytes),
            (_REF_HASH, transaction.ref_block_hash),
            (_EXPIRATION, transaction.expiration),
            (_DATA, transaction.memo),
            (_CONTRACT, contract),
            (_TIMESTAMP, transaction.timestamp),
            (_FEE_LIMIT, transaction.fee_limit),
        ]
    )


def _contract(transfer: Transfer) -> tuple[int, bytes]:
    """(type of the contract, its bytes)."""
    owner, to = _raw(transfer.owner), _raw(transfer.to)
    if transfer.is_call:
        contract = _raw(parse_address(transfer.asset))
        return _CALL, encode([(1, owner), (2, contract), (4, bytes.fromhex(call_data(transfer)))])
    if not transfer.asset:
        return _TRX, encode([(1, owner), (2, to), (3, transfer.amount)])
    if not _ASSET.fullmatch(transfer.asset):
        raise OwnerMustAct(f'"{transfer.asset[:40]}" is not the id of a TRC-10 token; those are numbers.')
    return _TRC10, encode([(1, transfer.asset.encode()), (2, owner), (3, to), (4, transfer.amount)])


def call_data(transfer: Transfer) -> str:
    """What a TRC-20 contract is called with, in hex.

    The account as 20 bytes: with TRON's version byte before them, newer contracts would refuse it.
    """
    to = _raw(transfer.to)[1:].rjust(_WORD, b"\0")
    return (_SELECTOR + to + transfer.amount.to_bytes(_WORD, "big")).hex()


def parse(raw: bytes) -> Transaction:
    """The transaction that bytes stand for. Raises PeerMisbehaved for anything but a plain transfer."""
    fields = decode(raw, (_REF_BYTES, _REF_HASH, _EXPIRATION, _DATA, _CONTRACT, _TIMESTAMP, _FEE_LIMIT))
    contract = decode(_bytes(fields.get(_CONTRACT)), (1, 2))
    kind = _number(contract.get(1))
    parameter = decode(_bytes(contract.get(2)), (1, 2))
    if kind not in _URLS or parameter.get(1) != _URLS[kind]:
        raise PeerMisbehaved("The transaction is not a transfer.")
    return Transaction(
        transfer=_transfer(kind, _bytes(parameter.get(2))),
        ref_block_bytes=_sized(fields.get(_REF_BYTES), 2),
        ref_block_hash=_sized(fields.get(_REF_HASH), 8),
        expiration=_number(fields.get(_EXPIRATION)),
        timestamp=_number(fields.get(_TIMESTAMP, 0)),
        memo=_bytes(fields.get(_DATA, b"")),
        fee_limit=_number(fields.get(_FEE_LIMIT, 0)),
    )


def _transfer(kind: int, value: bytes) -> Transfer:
    """What the contract of a transaction moves."""
    if kind == _CALL:
        inner = decode(value, (1, 2, 4))
        to, amount = read_call(_bytes(inner.get(4)))
        return Transfer(_address(inner.get(1)), to, _address(inner.get(2)), amount)
    if kind == _TRC10:
        inner = decode(value, (1, 2, 3, 4))
        asset = _bytes(inner.get(1)).decode("ascii", "replace")
        found = Transfer(_address(inner.get(2)), _address(inner.get(3)), asset, _number(inner.get(4)))
        if not _ASSET.fullmatch(asset):
            raise PeerMisbehaved("The transaction moves an impossible token.")
    else:
        inner = decode(value, (1, 2, 3))
        found = Transfer(_address(inner.get(1)), _address(inner.get(2)), "", _number(inner.get(3)))
    if not 0 < found.amount <= MOST_AMOUNT:
        raise PeerMisbehaved("The transaction moves an impossible amount.")
    return found


def read_call(data: bytes) -> tuple[Address, int]:
    """(recipient, amount) of the call of a TRC-20 transfer. Raises PeerMisbehaved for any other.

    Some wallets put TRON's version byte before the account; the chain looks at the last 20 bytes.
    """
    selector, word, amount = data[:4], data[4 : 4 + _WORD], int.from_bytes(data[4 + _WORD :], "big")
    if len(data) != 4 + 2 * _WORD or selector != _SELECTOR or not amount:
        raise PeerMisbehaved("The contract call is not a transfer.")
    if not _is_account(word):
        raise PeerMisbehaved("The contract call names an impossible account.")
    return _address(b"\x41" + word[12:]), amount


def txid(raw: bytes) -> bytes:
    """The id of a transaction: SHA-256 of its raw data."""
    return hashlib.sha256(raw).digest()


def sign(raw: bytes, key: Key, intended: Transfer) -> bytes:
    """65 bytes: r, s, and which of the possible keys it was.

    Raises PeerMisbehaved where the bytes do not say what is intended: whoever built them is not believed.
    """
    if parse(raw).transfer != intended or intended.owner != key.address:
        raise PeerMisbehaved("The transaction differs from the one requested; it is not signed.")
    return key.sign_recoverable(txid(raw))


def _is_account(word: bytes) -> bool:
    return not word[:11].strip(b"\0") and word[11:12] in (b"\0", b"\x41")


def _recovery_id(last: int) -> int:
    # Wallets write it as 0 or 1, or as 27 or 28, as Ethereum has it.
    id = last - 27 if last >= 27 else last
    if id not in (0, 1):
        raise PeerMisbehaved("The signature's recovery id is impossible.")
    return id


def signer(raw: bytes, signature: bytes) -> Address:
    """Who has signed raw data. Raises PeerMisbehaved for a malformed signature."""
    if len(signature) != SIGNATURE_BYTES + 1:
        raise PeerMisbehaved("A TRON signature has 65 bytes.")
    whole = signature[:-1] + bytes([_recovery_id(signature[-1])])
    try:
        public = PublicKey.from_signature_and_message(whole, txid(raw), hasher=None)
    except ValueError as error:
        raise PeerMisbehaved("The signature does not match any key.") from error
    return address_of(public.format(compressed=True))


def _raw(address: Address) -> bytes:
    return bytes(base58.b58decode_check(address))


def _address(value: int | bytes | None) -> Address:
    raw = _sized(value, 21)
    if raw[0] != 0x41:
        raise PeerMisbehaved("The transaction names an address of another chain.")
    return Address(base58.b58encode_check(raw).decode())


def _sized(value: int | bytes | None, size: int) -> bytes:
    found = _bytes(value)
    if len(found) != size:
        raise PeerMisbehaved("A part of the transaction has a wrong length.")
    return found


def _bytes(value: int | bytes | None) -> bytes:
    if not isinstance(value, bytes):
        raise PeerMisbehaved("A part of the transaction is missing.")
    return value


def _number(value: int | bytes | None) -> int:
    if not isinstance(value, int):
        raise PeerMisbehaved("A number of the transaction is missing.")
    return value
