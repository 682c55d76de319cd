-- End a channel's membership of a group, at its owner's: 1 if the owner has left the group.
-- KEYS: the owner's groups, its sockets in the group, its journal. ARGV: group, socket ("" for
-- what is no process), retention of the journal.
local group, socket = ARGV[1], ARGV[2]
if socket ~= '' then
    -- Also for one that is no member here: the process may know better, after a loss of data.
    local lapses = redis.call('ZSCORE', KEYS[2], socket)
    redis.call('ZREM', KEYS[2], socket)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    record(KEYS[3], tonumber(ARGV[3]), '-', group, socket, tonumber(lapses or 0))
end
if socket == '' or redis.call('ZCARD', KEYS[2]) == 0 then
    redis.call('ZREM', KEYS[1], group)
    return 1
end
return 0
