-- KEYS: the group. ARGV: P, S, group, owner, socket, group expiry, limit ("" for the default).
local group, owner, socket, lifetime = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local lapses = now + lifetime
redis.call('ZADD', group_key(group), 'GT', lapses, owner)
redis.call('ZADD', joined_key(owner), 'GT', lapses, group)
keep(group_key(group), lifetime)
keep(joined_key(owner), lifetime)
if socket ~= '' then
    redis.call('ZADD', sockets_key(group, owner), lapses, socket)
    keep(sockets_key(group, owner), lifetime)
end
if ARGV[7] ~= '' then
    redis.call('HSET', limits_key(group), owner, ARGV[7])
    keep(limits_key(group), lifetime)
else
    redis.call('HDEL', limits_key(group), owner)
end
return 0
