-- Start the group expiry of memberships anew, at their owner's: of those that there are.
-- KEYS: the owner's groups, its sockets in the group, its journal. ARGV: group, group expiry,
-- retention of the journal, sockets ("" for what is no process). Returns 1 if there were any.
local group, lifetime = ARGV[1], tonumber(ARGV[2])
local lapses = now + lifetime
local known = redis.call('ZSCORE', KEYS[1], group)
if not known or tonumber(known) <= now then
    return 0
end
local is_prolonged = ARGV[4] == ''
for index = 4, #ARGV do
    local socket = ARGV[index]
    local old = redis.call('ZSCORE', KEYS[2], socket)
    if old and tonumber(old) > now then
        redis.call('ZADD', KEYS[2], lapses, socket)
        record(KEYS[3], tonumber(ARGV[3]), '=', group, socket, lapses)
        is_prolonged = true
    end
end
if not is_prolonged then
    return 0
end
keep(KEYS[2], lifetime)
redis.call('ZADD', KEYS[1], 'GT', lapses, group)
keep(KEYS[1], lifetime)
return 1
