"""dlt's destination decorator, 100 records a request: `target.py <api_url> <token> < messages`."""

import sys

import dlt
import orjson
from dlt.sources.helpers import requests

api_url, token = sys.argv[1:]
session = requests.Client().session
session.headers["Authorization"] = f"Bearer {token}"
session.headers["Content-Type"] = "application/json"


@dlt.resource(name="people", primary_key="external_id")
def messages():
    for line in sys.stdin.buffer:
        message = orjson.loads(line)
        if message["type"] == "RECORD":
            yield message["record"]


@dlt.destination(batch_size=100, name="vendor")
def vendor(items, table):  # noqa: ARG001
    # It reads dates as such, which its own JSON encoder for requests does not take.
    session.patch(f"{api_url}/people", data=orjson.dumps({"people": items})).raise_for_status()


dlt.pipeline("people", destination=vendor, pipelines_dir=".").run(messages())
