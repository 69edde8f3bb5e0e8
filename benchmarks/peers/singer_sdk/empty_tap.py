"""The least that singer-sdk takes for a tap."""

from singer_sdk import Tap


class TapEmpty(Tap):
    name = "tap-empty"
    config_jsonschema = {"properties": {}}

    def discover_streams(self) -> list:
        return []


if __name__ == "__main__":
    TapEmpty.cli()
