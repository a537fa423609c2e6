"""The one reader of video files: the same frame has the same number everywhere."""
