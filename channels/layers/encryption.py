"""Encrypting messages on their way through a server that others can look into.

An encrypted message is one byte that names its wire format, then a Fernet token (without its
base64) of the message in the plain format. Keys are rotated by putting a new one first.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from .codec import ENCRYPTED_VERSION

VERSION_BYTE = bytes([ENCRYPTED_VERSION])


class Cipher:
    """Encrypts with the first of ``keys`` (text or bytes of any length), decrypts with all.

    Raises ``ValueError`` for a single key instead of a list, for a key that is empty or no text
    or bytes, and when the package ``cryptography`` is missing.
    """

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        if isinstance(keys, str | bytes):
            raise ValueError("symmetric_encryption_keys must be a list of keys, not one key.")
        fernet = _import_fernet()
        self._fernet: Any = fernet.MultiFernet([fernet.Fernet(_fernet_key(key)) for key in keys])
        self._invalid_token: type[Exception] = fernet.InvalidToken

    def encrypt(self, data: bytes) -> bytes:
        """``data``, which is a message in the plain format, in the encrypted one."""
        return VERSION_BYTE + base64.urlsafe_b64decode(self._fernet.encrypt(data))

    def decrypt(self, data: bytes) -> bytes:
        """The plain format of ``data``; ``ValueError`` when none of the keys fits it."""
        if data[:1] != VERSION_BYTE:
            raise ValueError(
                "A message came unencrypted, but this layer has symmetric_encryption_keys: give "
                "every process the same keys."
            )
        try:
            token = base64.urlsafe_b64encode(data[1:])
            plain: bytes = self._fernet.decrypt(token)
        except self._invalid_token:
            raise ValueError(
                "A message came that none of the symmetric_encryption_keys decrypts: give every "
                "process the key that others encrypt with, behind its own first one."
            ) from None
        return plain


def _fernet_key(key: object) -> bytes:
    if not isinstance(key, str | bytes) or not key:
        raise ValueError(
            "symmetric_encryption_keys must hold text or bytes that are not empty, not "
            f"{type(key).__name__}."
        )
    secret = key.encode() if isinstance(key, str) else key
    return base64.urlsafe_b64encode(hashlib.sha256(secret).digest())


def _import_fernet() -> Any:
    try:
        from cryptography import fernet
    except ImportError as error:
        raise ValueError(
            "symmetric_encryption_keys needs the package cryptography: "
            "pip install 'channels[crypto]'."
        ) from error
    return fernet
