"""Print the state of each box, then send a command to the page of a rack.

python rack.py http://127.0.0.1:8080 token.txt "stop left"
"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def ask(address: str, token: str, path: str, content: object = None) -> Any:
    """Return the answer to a GET, or to a POST of `content`; also that of a refusal."""
    data = None if content is None else json.dumps(content).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(address + path, data, headers)) as answer:
            return json.load(answer)
    except HTTPError as refused:
        return json.load(refused)


if __name__ == "__main__":
    address, token_file, command = sys.argv[1:]
    token = Path(token_file).read_text("utf-8").strip()
    for box in ask(address, token, "/api/boxes")["boxes"]:
        print(f"{box['name']}: {box['state']}")
    print(ask(address, token, "/api/commands", {"command": command})["answer"])
