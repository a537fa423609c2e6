"""Video pipeline of the International Brain Laboratory."""
