"""`target-x --verify [--repair]`: what this sync delivered against what the vendor has now."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator
from functools import partial

import click

from singer_http.errors import Cancelled, ConfigError, Interrupted, StopRun, one_line
from singer_http.operations import JSON
from singer_http.report import drift as report
from singer_http.report.drift import Drift, StreamDrift
from singer_http.report.rejects_summary import shape
from singer_http.sink.base import HTTPSink
from singer_http.sink.kinds import ReadableSink
from singer_http.store.database import Database
from singer_http.target.plan import Plan
from singer_http.target.run import TargetRun
from singer_http.target.verify.notes import Difference, Notes
from singer_http.target.verify.repair import Repaired, repair
from singer_http.target.verify.stream import StreamCheck
