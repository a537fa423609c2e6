function answer = rack(address, tokenFile, command)
% Print the state of each box, then send a command to the page of a rack.
%
%     rack('http://127.0.0.1:8080', 'token.txt', 'stop left')
%
% A command that the rack refuses is an error.
token = strtrim(fileread(tokenFile));
options = weboptions('HeaderFields', {'Authorization', ['Bearer ' token]}, ...
    'MediaType', 'application/json', 'ContentType', 'text');
found = jsondecode(webread([address '/api/boxes'], options));
for box = reshape(found.boxes, 1, [])
    fprintf('%s: %s\n', box.name, box.state);
end
sent = jsonencode(struct('command', command));
answer = getfield(jsondecode(webwrite([address '/api/commands'], sent, options)), 'answer');
end
