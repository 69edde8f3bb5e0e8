"""The least that singer-sdk takes for a target."""

from singer_sdk import Target


class TargetEmpty(Target):
    name = "target-empty"
    config_jsonschema = {"properties": {}}


if __name__ == "__main__":
    TargetEmpty.cli()
