#!/bin/sh
# Print the states of all boxes, then send a command to the page of a rack.
#
#     sh rack.sh http://127.0.0.1:8080 token.txt "stop left"
set -eu
address=$1 token=$(cat "$2") command=$3
curl --fail --silent --show-error --header "Authorization: Bearer $token" "$address/api/boxes"
echo
curl --fail-with-body --silent --show-error --header "Authorization: Bearer $token" \
    --json "{\"command\": \"$command\"}" "$address/api/commands"
echo
