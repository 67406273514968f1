"""A certificate for the deployments' addresses, made anew for each sandbox, and trusted by its own browser alone."""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

HOSTS = "*.vercel.app"


def made(file: Path, now: datetime) -> tuple[ssl.SSLContext, str]:
    """For a server, and the hash of its public key. `file` is written, readable by its owner only: Python's ssl takes
    keys from files."""
    key = ec.generate_private_key(ec.SECP256R1())
    document = _signed(key, now).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(document + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return context, base64.b64encode(hashlib.sha256(public).digest()).decode()


def browser_arguments(port: int, key: str) -> tuple[str, ...]:
    """With them a Chromium finds the deployments on that port of this machine, and takes this one key for theirs."""
    return (f"--host-resolver-rules=MAP {HOSTS} 127.0.0.1:{port}", f"--ignore-certificate-errors-spki-list={key}")


def _signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "canary sandbox")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(minutes=5))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOSTS)]), critical=False)
        .sign(key, SHA256())
    )
