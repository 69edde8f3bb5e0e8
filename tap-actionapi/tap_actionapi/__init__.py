"""Singer tap for the action API of Merlin CRM."""
