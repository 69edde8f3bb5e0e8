"""A plain target, as singer-sdk's cookiecutter template makes one: 100 records a request."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import requests
from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class People(BatchSink):
    max_size = 100

    @cached_property
    def session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.config['token']}"
        session.headers["Content-Type"] = "application/json"
        return session

    def process_batch(self, context: dict[str, Any]) -> None:
        response = self.session.patch(
            f"{self.config['api_url']}/people",
            data=json.dumps({"people": context["records"]}, default=str),
            timeout=30,
        )
        response.raise_for_status()


class TargetPlain(Target):
    name = "target-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("token", th.StringType, required=True, secret=True),
    ).to_dict()
    default_sink_class = People


if __name__ == "__main__":
    TargetPlain.cli()
