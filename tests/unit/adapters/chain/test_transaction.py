"""Transactions of TRON: published ones are reproduced byte for byte, and what is not plain is not signed."""

import hashlib
from dataclasses import replace
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.chain import protobuf
from appliance.adapters.chain.transaction import (
    Transaction,
    Transfer,
    parse,
    read_call,
    serialise,
    sign,
    signer,
    txid,
)
from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.core.keys import Address, Key

KEY = Key(bytes.fromhex("2d8f68944bdbfbc0769542fba8fc2d2a3de67393334471624364c7006da2aa54"))
"""The key of the signing tests of wallet-core (tests/chains/Tron/SignerTests.cpp)."""
OTHER = Key(bytes(31) + b"\2")


def test_a_published_transfer_of_a_token_gets_its_txid_and_signature() -> None:
    """wallet-core, tests/chains/Tron/SignerTests.cpp: SignTransferAsset and SignDirectTransferAsset."""
    header = protobuf.encode(
        [
            (1, 1_541_890_116_000),
            (2, bytes.fromhex("845ab51bf63c2c21ee71a4dc0ac3781619f07a7cd05e1e0bd8ba828979332ffa")),
            (3, bytes.fromhex("00000000003cb800a7e69e9144e3d16f0cf33f33a95c7ce274097822c67243c1")),
            (7, 3_979_265),
            (9, bytes.fromhex("41b487cdc02de90f15ac89a68c82f44cbfe3d915ea")),
            (10, 3),
        ]
    )
    number = (3_979_265).to_bytes(8, "big")
    transfer = Transfer(
        Address("TJRyWwFs9wTFGZg3JbrVriFbNfCug5tDeC"),
        Address("THTR75o8xXAgCTQqpiot2AFRAjvW1tSbVV"),
        "1000959",
        4,
    )
    raw = serialise(
        Transaction(
            transfer,
            ref_block_bytes=number[6:],
            ref_block_hash=hashlib.sha256(header).digest()[8:16],
            expiration=1_541_890_116_000 + 10 * 60 * 60 * 1_000,
            timestamp=1_539_295_479_000,
        )
    )
    assert txid(raw).hex() == "546a3d07164c624809cf4e564a083a7a7974bb3c4eff6bb3e278b0ca21083fcb"
    assert KEY.address == transfer.owner
    assert sign(raw, KEY, transfer).hex() == (
        "77f5eabde31e739d34a66914540f1756981dc7d782c9656f5e14e53b59a15371"
        "603a183aa12124adeee7991bf55acc8e488a6ca04fb393b1a8ac16610eeafdfc00"
    )


def shown(hexadecimal: str) -> Address:
    """An address from its 21 bytes."""
    return Address(base58.b58encode_check(bytes.fromhex(hexadecimal)).decode())


RECORDED = Transaction(
    Transfer(
        owner=shown("41b4bcb59b5a7d446ad2ec0780af85fa36c4ed14ee"),
        to=shown("41508c7d8edcd6c0eb1f24dbb898cbf610d2e2f789"),
        asset="1003533",
        amount=4_200,
    ),
    ref_block_bytes=bytes.fromhex("4c96"),
    ref_block_hash=bytes.fromhex("00f3655724057d2a"),
    expiration=1_615_975_383_000,
    timestamp=1_615_975_325_824,
)
"""A transfer of the main chain of 17 March 2021."""
RECORDED_RAW = bytes.fromhex(
    "0a024c96220800f3655724057d2a40d8ff8dfd832f5a74080212700a32747970652e676f6f676c65617069732e636f6d2f"
    "70726f746f636f6c2e5472616e736665724173736574436f6e7472616374123a0a0731303033353333121541b4bcb59b5a"
    "7d446ad2ec0780af85fa36c4ed14ee1a1541508c7d8edcd6c0eb1f24dbb898cbf610d2e2f78920e8207080c18afd832f"
)


def test_a_recorded_transfer_of_the_main_chain_is_read_and_its_signer_found() -> None:
    """txID 07450f40…ea13, as a node's JSON shows it (raw_data_hex, signature)."""
    found = parse(RECORDED_RAW)
    assert txid(RECORDED_RAW).hex() == "07450f4027f3ab21bf178d36bf57815b73f8e4d2fb8b8c5e0556d1b67cb7ea13"
    assert found == RECORDED
    assert serialise(found) == RECORDED_RAW
    signature = bytes.fromhex(
        "84c2cdb5990fc3f6fd46278b9575c646377cdb3190765df4215df056bb4e9741"
        "e2dd5cd9f8bfbab5f674469218f2074e73b14a48e9460b7f115df77d8aaa8a0601"
    )
    assert signer(RECORDED_RAW, signature) == found.transfer.owner


@pytest.mark.parametrize(
    ("amount", "id", "signature"),
    [
        (
            1_000,
            "0d644290e3cf554f6219c7747f5287589b6e7e30e1b02793b48ba362da6a5058",
            "bec790877b3a008640781e3948b070740b1f6023c29ecb3f7b5835433c13fc58"
            "35e5cad3bd44360ff2ddad5ed7dc9d7dee6878f90e86a40355b7697f5954b88c01",
        ),
        (
            10**22,
            "774422d8d205760876496f22b7d4395cfceda03f139b8362a3693f1f405f0c36",
            "8207cbae6aff799cfefa1ab4d8a0c52b6a59be43491bd25b4f03754f0e8115b0"
            "06b5f1393a3934ec3489f5d3c272a7af42658bdc165dc632b36114bd3180da2e00",
        ),
    ],
)
def test_published_transfers_of_a_contracts_token_get_their_txids_and_signatures(
    amount: int, id: str, signature: str
) -> None:
    """wallet-core, tests/chains/Tron/SerializationTests.cpp: SignTransferTrc20Contract, ..._LargeAmount.

    It writes TRON's version byte before the account, which is read, and which we leave out ourselves.
    """
    transfer = Transfer(
        Address("TJRyWwFs9wTFGZg3JbrVriFbNfCug5tDeC"),
        Address("TW1dU4L3eNm7Lw8WvieLKEHpXWAussRG9Z"),
        "THTR75o8xXAgCTQqpiot2AFRAjvW1tSbVV",
        amount,
    )
    ours = Transaction(
        transfer,
        bytes.fromhex("7b3b"),
        bytes.fromhex("b21ace8d6ac20e7e"),
        1_539_331_479_000,
        1_539_295_479_000,
    )
    account = base58.b58decode_check(transfer.to)[1:]
    raw = serialise(ours)
    theirs = raw.replace(b"\0" + account, b"\x41" + account)
    assert theirs != raw
    assert txid(theirs).hex() == id
    assert parse(theirs) == parse(raw) == ours
    assert sign(theirs, KEY, transfer).hex() == signature


@given(st.integers(1, 2**256 - 1), st.binary(max_size=200), st.integers(0, 10**10))
def test_calls_of_a_token_read_back(amount: int, memo: bytes, fee_limit: int) -> None:
    transfer = Transfer(KEY.address, OTHER.address, "THTR75o8xXAgCTQqpiot2AFRAjvW1tSbVV", amount)
    made = Transaction(transfer, b"zz", b"12345678", 5, 4, memo, fee_limit)
    assert parse(serialise(made)) == made


@pytest.mark.parametrize(
    "data",
    [
        "a9059cbb",
        "a9059cbc" + "00" * 12 + "11" * 20 + "00" * 31 + "01",
        "a9059cbb" + "00" * 11 + "42" + "11" * 20 + "00" * 31 + "01",
        "a9059cbb" + "01" + "00" * 11 + "11" * 20 + "00" * 31 + "01",
        "a9059cbb" + "00" * 12 + "11" * 20 + "00" * 32,
        "a9059cbb" + "00" * 12 + "11" * 20 + "00" * 31 + "01" + "00",
    ],
)
def test_a_call_that_is_no_plain_transfer_is_none(data: str) -> None:
    with pytest.raises(PeerMisbehaved):
        read_call(bytes.fromhex(data))


amounts = st.integers(1, 2**63 - 1)
transactions = st.builds(
    Transaction,
    st.builds(
        Transfer,
        st.just(KEY.address),
        st.just(OTHER.address),
        st.integers(0, 10**18).map(lambda number: str(number or "")),
        amounts,
    ),
    st.binary(min_size=2, max_size=2),
    st.binary(min_size=8, max_size=8),
    st.integers(1, 2**62),
    st.integers(0, 2**62),
    st.binary(max_size=200),
)


@given(transactions)
def test_what_is_written_reads_back_and_its_signer_is_found(transaction: Transaction) -> None:
    raw = serialise(transaction)
    assert parse(raw) == transaction
    assert signer(raw, sign(raw, KEY, transaction.transfer)) == KEY.address


@given(transactions, st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(transaction: Transaction, at: int, flip: int) -> None:
    raw = bytearray(serialise(transaction))
    raw[at % len(raw)] ^= flip
    try:
        assert parse(bytes(raw)) != transaction
    except PeerMisbehaved:
        return
    assert serialise(parse(bytes(raw))) == bytes(raw), "one meaning, one form"


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        parse(raw)


def fields(transaction: Transaction) -> list[protobuf.Field]:
    found = protobuf.decode(serialise(transaction), (1, 4, 8, 10, 11, 14))
    return sorted(found.items())


@pytest.mark.parametrize(
    "raw",
    [
        protobuf.encode([*fields(RECORDED), (19, 1_000)]),
        protobuf.encode([*fields(RECORDED), (11, dict(fields(RECORDED))[11])]),
        protobuf.encode(reversed(fields(RECORDED))),
        RECORDED_RAW + b"\x90\x01\x00",
        RECORDED_RAW[:-6] + b"\x80\xc1\x8a\xfd\x83\xaf\x00",
        RECORDED_RAW[:-1],
        RECORDED_RAW.replace(b"protocol.TransferAsset", b"protocol.TransferOther"),
        b"",
    ],
)
def test_what_could_mean_something_else_is_not_signed(raw: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        parse(raw)
    with pytest.raises(PeerMisbehaved):
        sign(raw, KEY, RECORDED.transfer)


def test_only_what_was_intended_is_signed() -> None:
    mine = Transaction(Transfer(KEY.address, OTHER.address, "1002000", 5), b"ab", b"abcdefgh", 9, 8)
    raw = serialise(mine)
    assert sign(raw, KEY, mine.transfer)
    for intended in (
        replace(mine.transfer, amount=6),
        replace(mine.transfer, asset=""),
        replace(mine.transfer, to=KEY.address),
        replace(mine.transfer, owner=OTHER.address),
    ):
        with pytest.raises(PeerMisbehaved, match="not signed"):
            sign(raw, KEY, intended)
    with pytest.raises(PeerMisbehaved, match="not signed"):
        sign(raw, OTHER, mine.transfer)


@pytest.mark.parametrize(
    "change", [{"amount": 0}, {"amount": -1}, {"amount": 2**63}, {"asset": "BTT"}, {"asset": "01"}]
)
def test_impossible_transfers_are_not_made(change: dict[str, Any]) -> None:
    wrong = replace(RECORDED.transfer, owner=KEY.address, to=OTHER.address, **change)
    with pytest.raises(OwnerMustAct):
        serialise(replace(RECORDED, transfer=wrong))


@given(st.binary(max_size=70))
def test_no_signature_raises_anything_but_a_refusal(signature: bytes) -> None:
    try:
        signer(RECORDED_RAW, signature)
    except PeerMisbehaved:
        return
