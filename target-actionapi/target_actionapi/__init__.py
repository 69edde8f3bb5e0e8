"""Records into Merlin CRM: contacts, automations, calls and messages."""
