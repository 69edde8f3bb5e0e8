"""The least that singer-sdk takes for a target."""

from singer_sdk import Target
from singer_sdk import typing as th


class TargetEmpty(Target):
    name = "target-empty"
    config_jsonschema = th.PropertiesList().to_dict()


if __name__ == "__main__":
    TargetEmpty.cli()
