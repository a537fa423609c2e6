"""Classification of behaviour from poses."""
