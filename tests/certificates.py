"""Certificates for Redis over TLS, made anew for each run of the tests."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Certificates:
    """The files of an authority and of the two that it knows; the keys are not encrypted."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def client_options(self) -> dict[str, str]:
        """The keywords of redis-py, or of the query of a ``rediss:`` URL, for a client."""
        return {
            "ssl_ca_certs": str(self.authority),
            "ssl_certfile": str(self.client),
            "ssl_keyfile": str(self.client_key),
        }

    def server_options(self) -> list[str]:
        """The lines of a server's configuration."""
        return [
            f"tls-ca-cert-file {self.authority}",
            f"tls-cert-file {self.server}",
            f"tls-key-file {self.server_key}",
        ]


def make_certificates(directory: Path) -> Certificates:
    """Certificates for a server on the loopback interface and for one client.

    They are valid for a day. Another call makes an authority that does not know them.
    """
    authority = _Authority()
    (directory / "authority.crt").write_bytes(_in_pem(authority.certificate))
    loopback = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    server = authority.certify("localhost", ExtendedKeyUsageOID.SERVER_AUTH, loopback)
    client = authority.certify("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    return Certificates(
        directory / "authority.crt",
        *_write(directory / "server", *server),
        *_write(directory / "client", *client),
    )


class _Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of the tests")
        self.certificate = self._sign(
            self._name,
            self._key,
            x509.BasicConstraints(ca=True, path_length=0),
            _usage(signs=True),
        )

    def certify(
        self, name: str, purpose: x509.ObjectIdentifier, *more: x509.ExtensionType
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate for one purpose, and the key of it."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(
            _name(name),
            key,
            x509.BasicConstraints(ca=False, path_length=None),
            _usage(signs=False),
            x509.ExtendedKeyUsage([purpose]),
            *more,
        ), key

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        usage: x509.KeyUsage,
        *more: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        public, issuer = key.public_key(), self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
        )
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    """For signing certificates, or for talking."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    files = path.with_suffix(".crt"), path.with_suffix(".key")
    files[0].write_bytes(_in_pem(certificate))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _in_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
