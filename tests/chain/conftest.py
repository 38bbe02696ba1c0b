"""The databases of the ledger's tests, for those of the gateway."""

from tests.ledger.conftest import fresh, postgres

__all__ = ["fresh", "postgres"]
