-- KEYS: the group. ARGV: P, S, group, owner, socket.
local group, owner, socket = ARGV[3], ARGV[4], ARGV[5]
if socket ~= '' then
    redis.call('ZREM', sockets_key(group, owner), socket)
end
if socket == '' or redis.call('ZCARD', sockets_key(group, owner)) == 0 then
    leave(group, owner)
end
return 0
