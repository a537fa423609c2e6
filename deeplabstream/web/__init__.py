"""Page in the browser: states and images of the boxes of a rack."""
