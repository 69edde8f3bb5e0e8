"""The sandbox behaves as Kasplo does."""

from __future__ import annotations

from singer_sandbox import Sandbox
from tests.calling import KASPLO, call, kasplo


def test_kasplo_pages_filters_and_envelopes(sandbox: Sandbox) -> None:
    tags = [{"tag_id": f"t{n}", "name": f"tag {n}", "status": 1 + (n > 12)} for n in range(15)]
    sandbox.put_state("kasplo", {"tags": tags})
    base = "/kasplo/audience/v1/sandbox-sid"
    answer = call(sandbox, "GET", f"{base}/tag?page=2&pageSize=10", headers=KASPLO).json()
    assert (len(answer["data"]), answer["total"], answer["status"]) == (3, 13, True)
    assert call(sandbox, "GET", f"{base}/tag?status=2", headers=KASPLO).json()["total"] == 2
    assert call(sandbox, "GET", f"{base}/list", headers=KASPLO).json()["status"] == 200
    wrong = call(sandbox, "GET", "/kasplo/audience/v1/other/list", headers=KASPLO)
    assert wrong.status_code == 401
    assert "sandbox-sid" not in str(sandbox.requests())


def test_kasplo_names_the_reason_of_each_invalid_contact(sandbox: Sandbox) -> None:
    fields = [
        {"name": "age", "type": "numeric", "required": 1},
        {"name": "size", "type": "dropdown", "values": "s, m"},
    ]
    sandbox.put_state(
        "kasplo", {"lists": [{"list_id": "l1", "name": "L"}], "custom_fields": fields}
    )
    good = {"age": "25", "size": "m"}
    answer = kasplo(
        sandbox,
        [
            {"email": "a@example.com", "custom_fields": good},
            {"email": "A@example.com", "custom_fields": good},
            {"email": "b@example.com", "custom_fields": {"size": "m"}},
            {"email": "c@example.com", "custom_fields": {"age": "old"}},
            {"email": "d@example.com", "custom_fields": {"age": 1, "size": "xl"}},
            {"email": "e@example.com", "custom_fields": {"age": 1, "colour": "red"}},
            {"email": "nobody"},
        ],
    )
    data = answer.json()["data"]
    assert (answer.status_code, data["total_valid"], data["total_invalid"]) == (202, 1, 6)
    assert data["invalid_contacts"][0]["string"] == "Contact already exists in request, not unique"
    again = kasplo(sandbox, [{"email": "a@example.com"}]).json()["data"]
    assert again["invalid_contacts"][0]["string"] == "Contact already exists"
    kasplo(sandbox, [{"email": "a@example.com", "last_name": "Z"}], update_subscribers=True)
    assert sandbox.state("kasplo")["contacts"]["l1/a@example.com"]["last_name"] == "Z"
    assert kasplo(sandbox, [{"email": "a@example.com"}], tags=["no"]).status_code == 400
    assert kasplo(sandbox, [{"email": "a@example.com"}], list_id="no").status_code == 400
    assert kasplo(sandbox, [{"email": f"{n}@example.com"} for n in range(101)]).status_code == 400
