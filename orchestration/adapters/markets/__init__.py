"""Exchange calendars and prices."""
