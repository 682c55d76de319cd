-- Make a channel a member of a group, at its owner's.
-- KEYS: the owner's groups, its sockets in the group, its journal. ARGV: group, socket ("" for
-- what is no process), group expiry, retention of the journal.
local group, socket, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3])
local lapses = now + lifetime
if socket ~= '' then
    if not redis.call('ZSCORE', KEYS[1], group) then
        redis.call('UNLINK', KEYS[2])
    end
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    local is_new = redis.call('ZADD', KEYS[2], lapses, socket) == 1
    keep(KEYS[2], lifetime)
    record(KEYS[3], tonumber(ARGV[4]), is_new and '+' or '=', group, socket, lapses)
end
redis.call('ZADD', KEYS[1], 'GT', lapses, group)
keep(KEYS[1], lifetime)
return 0
