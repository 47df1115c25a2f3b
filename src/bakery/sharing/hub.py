"""What the hub's client raises: its own errors, and those of whichever HTTP library it uses."""

from bakery.settings.hub import client_errors

HUB_ERRORS = client_errors()
