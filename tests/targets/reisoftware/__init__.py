"""target-reisoftware, by either version of the API."""
