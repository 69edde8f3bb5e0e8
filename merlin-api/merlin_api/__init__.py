"""What the tap and the target of Merlin CRM share: its calls, and what their answers mean."""
