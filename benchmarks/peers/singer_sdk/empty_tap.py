"""The least that singer-sdk takes for a tap."""

from singer_sdk import Tap
from singer_sdk import typing as th


class TapEmpty(Tap):
    name = "tap-empty"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list:
        return []


if __name__ == "__main__":
    TapEmpty.cli()
