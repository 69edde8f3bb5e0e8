"""A plain tap, as singer-sdk's cookiecutter template makes one."""

from __future__ import annotations

from typing import Any

from requests import Response
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import PageNumberPaginator


class Pages(PageNumberPaginator):
    """On until a page is empty."""

    def has_more(self, response: Response) -> bool:
        return bool(response.json()["data"])


class Members(RESTStream):
    name = "members"
    path = "/members"
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("email", th.StringType),
        th.Property("phone", th.StringType),
        th.Property("first_name", th.StringType),
        th.Property("last_name", th.StringType),
        th.Property("list_id", th.IntegerType),
        th.Property(
            "custom_fields",
            th.ObjectType(
                th.Property("parcel_id", th.StringType),
                th.Property("property_city", th.StringType),
            ),
        ),
        th.Property("status", th.StringType),
        th.Property("created_at", th.StringType),
        th.Property("updated_at", th.StringType),
        th.Property("city", th.StringType),
        th.Property("state", th.StringType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return self.config["api_url"]

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["token"])

    def get_new_paginator(self) -> Pages:
        return Pages(start_value=1)

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:  # noqa: ARG002
        return {"page": next_page_token, "per_page": 100}


class TapPlain(Tap):
    name = "tap-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("token", th.StringType, required=True, secret=True),
    ).to_dict()

    def discover_streams(self) -> list[Members]:
        return [Members(self)]


if __name__ == "__main__":
    TapPlain.cli()
