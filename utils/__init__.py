"""Programs to run beside the app; nobody imports them."""
