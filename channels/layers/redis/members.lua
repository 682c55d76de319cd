-- What follows the "!" of an owner's members in a group; one empty text for a member that is no
-- process; nothing without members.
-- KEYS: the announced processes, the owner's queue, its groups, its sockets in the group.
-- ARGV: group, "1" for a process.
if not is_member(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) then
    return {}
end
if ARGV[2] ~= '1' then
    return {''}
end
return redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. now, '+inf')
