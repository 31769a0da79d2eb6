"""A real S3 server on loopback (moto's), for tests of what lives in a bucket."""

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

server = pytest.importorskip("moto.server", reason="moto's S3 server is not here ([test])")


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """A server with an empty bucket named `bucket`; what the environment needs to reach it."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    url = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")).close()
    reach = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in reach}
    os.environ.update(reach)
    try:
        yield reach
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        running.stop()
