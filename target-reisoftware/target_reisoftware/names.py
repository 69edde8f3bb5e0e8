"""The names of a contact's fields, in both versions of the API."""

from __future__ import annotations

from reisoftware_api.channels import CHANNELS

TEXTS = (
    "firstName", "lastName", "name", "companyName", "email", "phone", "address1", "city", "state",
    "postalCode", "country", "website", "timezone", "source",
)  # fmt: skip
NAMES = frozenset({"name", "firstName", "lastName"})
V2_NAMES = {"address": "address1", "customFields": "customField"}
"""API v2's names → v1's."""
PARTS = {"dndSettings": CHANNELS}
"""Field → the fields that are within it."""
READ_ONLY = (
    "id", "locationId", "contactName", "type", "assignedTo", "dateAdded", "dateUpdated",
    "lastActivity", "fingerprint", "emailLowerCase", "firstNameLowerCase", "lastNameLowerCase",
    "fullNameLowerCase",
    # Of API v2.
    "additionalEmails", "additionalPhones", "attachments", "attributionSource", "attributions",
    "birthDay", "birthMonth", "bounceEmail", "businessId", "businessName", "createdBy",
    "deleted", "dndSettings", "followers", "gender", "inboundDndSettings", "keyword",
    "lastAttributionSource", "lastSessionActivityAt", "lastUpdatedBy", "offers",
    "opportunities", "phoneLabel", "products", "profilePhoto", "searchAfter", "ssn",
    "unsubscribeEmail", "validEmail", "validEmailDate", "visitorId",
)  # fmt: skip
