"""GenICam cameras of any maker."""
