"""A target made with hotglue's SDK: 100 records a request."""

from __future__ import annotations

from hotglue_singer_sdk import typing as th
from hotglue_singer_sdk.target_sdk.client import HotglueBatchSink
from hotglue_singer_sdk.target_sdk.target import TargetHotglue


class People(HotglueBatchSink):
    name = "people"
    endpoint = "/people"
    unified_schema = None
    max_size = 100

    @property
    def base_url(self) -> str:
        return self.config["api_url"]

    @property
    def http_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config['token']}"}

    def make_batch_request(self, records: list[dict]) -> int:
        self.request_api("PATCH", request_data={"people": records})
        return len(records)

    def handle_batch_response(self, response: int) -> dict:
        return {"state_updates": [{"success": True} for _ in range(response)]}


class TargetPeople(TargetHotglue):
    name = "target-people"
    SINK_TYPES = (People,)
    MAX_PARALLELISM = 1
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("token", th.StringType, required=True),
    ).to_dict()

    def get_sink_class(self, stream_name: str) -> type[People]:  # noqa: ARG002
        return People


if __name__ == "__main__":
    TargetPeople.cli()
