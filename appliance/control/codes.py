"""How the errors of errors.py travel as JSON-RPC error codes, and back."""

from pjrpc.common.exceptions import JsonRpcError

from appliance.core.errors import Bug, NotFound, OwnerMustAct, RetryLater, SeedboxError

INTERNAL = -32603
"""JSON-RPC's code for a failure that nobody foresaw."""
_CODES: dict[int, type[SeedboxError]] = {1: OwnerMustAct, 2: NotFound, 3: RetryLater}


def code_of(error: SeedboxError) -> int:
    """The JSON-RPC error code of an error; INTERNAL where nobody foresaw it."""
    return next((code for code, kind in _CODES.items() if type(error) is kind), _family(error))


def error_of(error: JsonRpcError) -> SeedboxError:
    """The error that a response stands for."""
    if error.code in _CODES:
        return _CODES[error.code](error.message)
    if error.code in (-32601, -32602):
        return OwnerMustAct(f"The daemon refused the command: {error.message}: {error.data}")
    return Bug(f"The daemon failed: {error.message}. Its log says more.")


def _family(error: SeedboxError) -> int:
    return next((code for code, kind in _CODES.items() if isinstance(error, kind)), INTERNAL)
