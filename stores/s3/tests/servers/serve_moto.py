"""Serves moto with the root elements of S3's answers.

moto names the root of an answer after the operation. Clients by botocore do not read it; that of the AWS SDK for Rust does.
Usage: serve_moto.py ADDRESS PORT [FOLDER]
With FOLDER it serves TLS, and writes the certificate of its authority to authority.pem there.
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.core import serialize
from moto.server import main

ROOTS = {
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetObjectTagging": "Tagging",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}


def with_root(unparse):
    def unparsed(body, *arguments, **options):
        if len(body) == 1:
            root = next(iter(body))
            name = ROOTS.get(root.removesuffix("Response"), root)
            body = {name: body[root]}
        return unparse(body, *arguments, **options)

    return unparsed


def certificate(name, key, issuer, issuer_key, extension, is_authority):
    now = datetime.datetime.now(datetime.timezone.utc)
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer))
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if extension:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def with_tls(address, folder):
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    files = {
        "authority.pem": certificate("authority", authority, "authority", authority, None, True),
        "server.pem": certificate("server", server, "authority", authority, names, False),
        "server.key": server.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return ["-c", str(folder / "server.pem"), "-k", str(folder / "server.key")]


serialize.xmltodict.unparse = with_root(serialize.xmltodict.unparse)
address, port, *folder = sys.argv[1:]
main(["-H", address, "-p", port, *(with_tls(address, pathlib.Path(folder[0])) if folder else [])])
