function answer = rack(address, tokenFile, command)
% Print the state of each box, then send a command to the page of a rack.
%
%     rack('http://127.0.0.1:8080', 'token.txt', 'stop left')
token = strtrim(fileread(tokenFile));
options = weboptions('HeaderFields', {'Authorization', ['Bearer ' token]}, ...
    'MediaType', 'application/json', 'RequestMethod', 'auto');
found = webread([address '/api/boxes'], options);
for box = reshape(found.boxes, 1, [])
    if iscell(box), box = box{1}; end
    fprintf('%s: %s\n', box.name, box.state);
end
answer = webwrite([address '/api/commands'], struct('command', command), options).answer;
end
