"""dlt's rest_api source, read to its end; each record a line, as the Singer taps write them.

Only the reading: no normalizing, no loading. `tap.py <api_url> <token>`
"""

import sys

import orjson
from dlt.sources.rest_api import rest_api_source

api_url, token = sys.argv[1:]
source = rest_api_source(
    {
        "client": {"base_url": f"{api_url}/", "auth": {"type": "bearer", "token": token}},
        "resources": [
            {
                "name": "members",
                "endpoint": {
                    "path": "members",
                    "params": {"per_page": 100},
                    "data_selector": "data",
                    "paginator": {
                        "type": "page_number",
                        "base_page": 1,
                        "page_param": "page",
                        "total_path": None,
                    },
                },
            }
        ],
    }
)
for record in source.resources["members"]:
    sys.stdout.buffer.write(orjson.dumps({"type": "RECORD", "record": record}) + b"\n")
