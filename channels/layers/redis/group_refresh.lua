-- Start the group expiry of an owner's memberships anew, those of the named sockets only.
-- KEYS: the owner's groups. ARGV: P, S, owner, group expiry, sockets.
local owner, lifetime = ARGV[3], tonumber(ARGV[4])
local lapses = now + lifetime
local wanted = {}
for index = 5, #ARGV do
    wanted[ARGV[index]] = true
end

local function refresh_sockets(group)
    local refreshed = false
    for _, socket in ipairs(sockets_of(group, owner)) do
        if wanted[socket] then
            redis.call('ZADD', sockets_key(group, owner), 'XX', lapses, socket)
            refreshed = true
        end
    end
    if refreshed then
        keep(sockets_key(group, owner), lifetime)
    end
    return refreshed
end

for _, group in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
    if not is_process(owner) or refresh_sockets(group) then
        redis.call('ZADD', group_key(group), 'XX', 'GT', lapses, owner)
        redis.call('ZADD', KEYS[1], 'XX', 'GT', lapses, group)
        keep(group_key(group), lifetime)
        keep(limits_key(group), lifetime)
        keep(KEYS[1], lifetime)
    end
end
return 0
