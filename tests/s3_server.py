"""A real S3 server on loopback (moto's), for tests of what lives in a bucket."""

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

server = pytest.importorskip("moto.server", reason="moto's S3 server is not here ([test])")


class Bucket:
    """An empty bucket named `bucket` on a server that can go away and come back."""

    def __init__(self) -> None:
        self.port = 0
        self.come()
        self.url = f"http://127.0.0.1:{self.port}"
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/bucket", method="PUT")).close()

    def come(self) -> None:
        """Answer, with all that was stored before."""
        self.server = server.ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def go(self) -> None:
        """Answer no more."""
        self.server.stop()
        self.server._server.server_close()


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """A bucket, and an environment that leads to it."""
    bucket = Bucket()
    reach = {
        "AWS_ENDPOINT_URL": bucket.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in reach}
    os.environ.update(reach)
    try:
        yield bucket
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        bucket.go()
