-- Strike an owner without members off a group, unless somebody has joined there since.
-- KEYS: the group. ARGV: owner, its score there before it was found to have no members.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then
    redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
