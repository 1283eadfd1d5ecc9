"""Serves moto with the root elements of S3's answers.

moto names the root of an answer after the operation. Clients by botocore do not read it; that of the AWS SDK for Rust does.
Usage: serve_moto.py ADDRESS PORT
"""

import sys

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


serialize.xmltodict.unparse = with_root(serialize.xmltodict.unparse)
main(["-H", sys.argv[1], "-p", sys.argv[2]])
