"""The words everybody speaks; numpy and the standard library."""
