"""Airflow without a database: connections come from the environment."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before Airflow is imported: it makes its configuration in its home.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-tests-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
