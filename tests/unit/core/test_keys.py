"""Keys: addresses as the chain has them, and signatures of one form alone."""

import pytest
from coincurve import PrivateKey
from coincurve.ecdsa import der_to_cdata, serialize_compact
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Key, address_of, digest, parse_address, verify

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of secp256k1 (SEC 2, 2.4.1)."""
KEY = Key(bytes(31) + b"\1")
DOMAIN, MESSAGE = b"test/1", b"three words here"


def test_the_address_of_the_smallest_key_is_the_published_one() -> None:
    """Private key 1; its Ethereum address is 0x7e5f…5bdf, and TRON's is the same 20 bytes behind 0x41."""
    assert KEY.public.hex() == "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    assert KEY.address == "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"


def test_what_a_key_signs_verifies_and_nothing_else_does() -> None:
    signature = KEY.sign(DOMAIN, MESSAGE)
    assert len(signature) == 64
    assert verify(KEY.public, DOMAIN, MESSAGE, signature)
    assert not verify(KEY.public, b"test/2", MESSAGE, signature)
    assert not verify(KEY.public, DOMAIN, MESSAGE + b"!", signature)
    assert not verify(Key.make().public, DOMAIN, MESSAGE, signature)


def test_the_higher_s_and_every_other_encoding_are_refused() -> None:
    signature = KEY.sign(DOMAIN, MESSAGE)
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    assert s <= N // 2
    assert not verify(KEY.public, DOMAIN, MESSAGE, r + (N - s).to_bytes(32, "big"))
    der = PrivateKey(KEY.secret).sign(digest(DOMAIN, MESSAGE), hasher=None)
    assert serialize_compact(der_to_cdata(der)) == signature, "deterministic (RFC 6979)"
    for wrong in (
        der,
        b"",
        signature + b"\1",
        signature[:-1],
        bytes(64),
        b"\xff" * 64,
        r + bytes(32),
        bytes(32) + r,
    ):
        assert not verify(KEY.public, DOMAIN, MESSAGE, wrong)


@given(st.integers(0, 511))
def test_one_wrong_bit_is_enough(bit: int) -> None:
    signature = bytearray(KEY.sign(DOMAIN, MESSAGE))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.public, DOMAIN, MESSAGE, bytes(signature))


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_no_bytes_raise_anything(public: bytes, signature: bytes) -> None:
    assert not verify(public, DOMAIN, MESSAGE, signature)


def test_an_uncompressed_key_is_not_another_form_of_the_same() -> None:
    whole = PrivateKey(KEY.secret).public_key.format(compressed=False)
    assert not verify(whole, DOMAIN, MESSAGE, KEY.sign(DOMAIN, MESSAGE))


@given(st.binary(min_size=32, max_size=32))
def test_every_address_reads_back_and_no_typing_error_does(secret: bytes) -> None:
    try:
        key = Key(secret)
    except OwnerMustAct:
        return
    assert parse_address(f" {key.address} ") == key.address == address_of(key.public)
    assert len(key.address) == 34
    assert key.address.startswith("T")
    swapped = key.address[:20] + ("2" if key.address[20] != "2" else "3") + key.address[21:]
    for wrong in (swapped, key.address[:-1], key.address + "1", key.address.lower(), ""):
        with pytest.raises(OwnerMustAct, match="TRON address"):
            parse_address(wrong)


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    try:
        parse_address(text)
    except OwnerMustAct as error:
        assert "TRON address" in str(error)


def test_a_key_prints_nothing_of_itself() -> None:
    key = Key.make()
    for shown in (repr(key), str(key), f"{key}"):
        assert key.secret.hex() not in shown
        assert key.address in shown
