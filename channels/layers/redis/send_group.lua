-- Queue a message for a group: one entry for each process and for each other channel. Members
-- that are full miss it. Returns the number of entries.
-- KEYS: the group. ARGV: P, S, group, expiry, linger, default limit, message.
local expiry, linger, default = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local limits = redis.call('HGETALL', limits_key(ARGV[3]))
local limit_of = {}
for index = 1, #limits, 2 do
    limit_of[limits[index]] = tonumber(limits[index + 1])
end

local queued = 0
for _, member in ipairs(members_of(ARGV[3])) do
    local owner, sockets = member[1], member[2]
    local limit = limit_of[owner] or default
    if push(owner, table.concat(sockets, ' '), ARGV[7], expiry, linger, limit) < 0 then
        queued = queued + 1
    end
end
return queued
