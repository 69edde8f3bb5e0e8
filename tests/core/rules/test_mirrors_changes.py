"""A mirror and what a row stood for before it changed under the same key."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.rules.test_mirrors import (
    EMAILS,
    VENDORS,
    Mirror,
    campaigns,
    contacts,
    vendor_row,
)
from tests.front_door import JSON


@pytest.mark.parametrize("change", [{"email": EMAILS[1]}, {"tags": ["owner"]}])
def test_a_tag_goes_though_its_key_stays(sandbox: Sandbox, tmp_path: Path, change: JSON) -> None:
    sandbox.put_state("rei", {"contacts": [{"id": text, "email": text} for text in EMAILS]})
    mirror = Mirror("target-reisoftware", sandbox, tmp_path, "contact_tags")
    row = {"k": "1", "email": EMAILS[0], "tags": ["vip"]}
    mirror.extract([row])
    for _ in range(2):
        mirror.extract([{**row, **change}])
    found = sandbox.state("rei")["contacts"]
    tags = {key: contact["tags"] for key, contact in found.items() if contact.get("tags")}
    assert tags == {change.get("email", EMAILS[0]): change.get("tags", ["vip"])}


@pytest.mark.parametrize("change", [{"email": EMAILS[1]}, {"campaignId": "c2"}])
def test_a_campaign_goes_though_its_key_stays(
    sandbox: Sandbox, tmp_path: Path, change: JSON
) -> None:
    people = [{"id": text, "email": text} for text in EMAILS]
    sandbox.put_state("rei", {"contacts": people, "campaigns": [{"id": "c1"}, {"id": "c2"}]})
    mirror = Mirror("target-reisoftware", sandbox, tmp_path, "contact_campaigns")
    row = {"k": "1", "email": EMAILS[0], "campaignId": "c1"}
    mirror.extract([row])
    for _ in range(2):
        mirror.extract([{**row, **change}])
    wanted = {change.get("email", EMAILS[0]): {change.get("campaignId", "c1")}}
    assert campaigns(sandbox) == wanted


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_email_that_moves_to_another_key_ends_in_one_record(
    sandbox: Sandbox, tmp_path: Path, vendor: str
) -> None:
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}]})
    mirror = Mirror(*VENDORS[vendor][:1], sandbox, tmp_path, VENDORS[vendor][1])
    one, other = ({"k": k, "email": EMAILS[i], "wrong": None} for i, k in enumerate("ab"))
    mirror.extract([vendor_row(row, vendor) for row in (one, other)])
    moved = [vendor_row({**other, "email": EMAILS[0]}, vendor)]
    ran = mirror.extract(moved)
    kinds = [reject["rejection"]["kind"] for reject in ran.rejects]
    assert (kinds, contacts(sandbox, vendor)) == (["invalid"], EMAILS[:2])
    for _ in range(2):
        ran = mirror.extract(moved)
    assert (ran.rejects, contacts(sandbox, vendor)) == ([], [EMAILS[0]])


@pytest.mark.parametrize("vendor", ["merlin", "rei"])
def test_a_record_that_only_a_rejected_row_names_goes_with_that_row(
    sandbox: Sandbox, tmp_path: Path, vendor: str
) -> None:
    mirror = Mirror(*VENDORS[vendor][:1], sandbox, tmp_path, VENDORS[vendor][1])
    one, other = ({"k": k, "email": EMAILS[i], "wrong": None} for i, k in enumerate("ab"))
    mirror.extract([vendor_row(row, vendor) for row in (one, other)])
    # Its key is another one now, and it is rejected.
    again = vendor_row({**one, "k": "c"}, vendor)
    again["Number" if vendor == "merlin" else "phone"] = "1"
    for _ in range(2):
        ran = mirror.extract([again, vendor_row(other, vendor)])
        assert (len(ran.rejects), contacts(sandbox, vendor)) == (1, EMAILS[:2])
    for _ in range(2):
        ran = mirror.extract([vendor_row(other, vendor)])
    assert contacts(sandbox, vendor) == EMAILS[1:2]
