"""Networks from elsewhere, brought into a model folder."""
