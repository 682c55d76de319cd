-- What all scripts share: it stands before each of them.
--
-- Keys (P is the layer's prefix, S the prefix of its statistics). Names of channels and groups
-- have no ":", so a queue's key is never mistaken for another one. An "owner" is who reads a
-- queue: a process ("websocket.send.PROCESS!"), or a normal or single-reader channel.
--
--   P<owner>                  list   a queue of entries
--   P group:<group>           zset   the owners of a group's members, by when they lapse
--   P group:<group>:<process> zset   what follows the "!" of a process's members, likewise
--   P group:<group>:limits    hash   capacities of owners that have not the default one
--   P joined:<owner>          zset   the groups of an owner, by when it lapses there
--   P alive:                  zset   announced processes, by when they count as dead
--   S channel:<counted name>  hash   messages_count, channel_full_count
--   S global                  hash   the same, of all channels
--
-- An entry is one byte of wire version, the time it expires (milliseconds, decimal, by this
-- server's clock), a space, its targets (what follows the "!", separated by spaces; nothing
-- for other channels), a newline, and the message.
--
-- Every script has P and S as its first arguments. Times are in milliseconds. No key is ever
-- left without an expiry.

local P, S = ARGV[1], ARGV[2]
local STATISTICS_LIFETIME = 86400 * 1000
local BURIALS_AT_ONCE = 10

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function queue_key(owner) return P .. owner end
local function group_key(group) return P .. 'group:' .. group end
local function sockets_key(group, process) return P .. 'group:' .. group .. ':' .. process end
local function limits_key(group) return P .. 'group:' .. group .. ':limits' end
local function joined_key(owner) return P .. 'joined:' .. owner end
local function alive_key() return P .. 'alive:' end
local function counter_key(owner) return S .. 'channel:' .. string.match(owner, '^[^?]*%??') end

local function is_process(owner) return string.sub(owner, -1) == '!' end

-- Let a key live for so long at least.
local function keep(key, lifetime)
    if redis.call('PTTL', key) < lifetime then
        redis.call('PEXPIRE', key, lifetime)
    end
end

local function count(owner, field)
    for _, key in ipairs({counter_key(owner), S .. 'global'}) do
        redis.call('HINCRBY', key, field, 1)
        redis.call('PEXPIRE', key, STATISTICS_LIFETIME)
    end
end

local function expiry_of(entry)
    return tonumber(string.match(entry, '^.(%d+) ')) or math.huge
end

-- Drop what has expired at the front of a queue; true if there was anything.
local function drop_expired(key)
    local dropped = false
    local head = redis.call('LINDEX', key, 0)
    while head and expiry_of(head) <= now do
        redis.call('LPOP', key)
        dropped = true
        head = redis.call('LINDEX', key, 0)
    end
    return dropped
end

local function leave(group, owner)
    redis.call('ZREM', group_key(group), owner)
    redis.call('HDEL', limits_key(group), owner)
    redis.call('ZREM', joined_key(owner), group)
    if is_process(owner) then
        redis.call('UNLINK', sockets_key(group, owner))
    end
end

local function leave_all(owner)
    for _, group in ipairs(redis.call('ZRANGE', joined_key(owner), 0, -1)) do
        leave(group, owner)
    end
end

-- Remove everything that belongs to a dead process.
local function bury(process)
    leave_all(process)
    redis.call('UNLINK', queue_key(process), counter_key(process))
    redis.call('ZREM', alive_key(), process)
end

-- True when nobody reads for this owner: it is then no member of any group any more.
local function is_gone(owner)
    if is_process(owner) then
        local alive_until = redis.call('ZSCORE', alive_key(), owner)
        if alive_until and tonumber(alive_until) <= now then
            bury(owner)
            return true
        end
    end
    if drop_expired(queue_key(owner)) then
        leave_all(owner)
        return true
    end
    return false
end

-- The sockets of a process in a group that have not lapsed.
local function sockets_of(group, process)
    local key = sockets_key(group, process)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    return redis.call('ZRANGE', key, 0, -1)
end

-- A group's members: pairs of an owner and its sockets.
local function members_of(group)
    local members = {}
    for _, owner in ipairs(redis.call('ZRANGEBYSCORE', group_key(group), '-inf', now)) do
        leave(group, owner)
    end
    for _, owner in ipairs(redis.call('ZRANGE', group_key(group), 0, -1)) do
        if not is_gone(owner) then
            local sockets = is_process(owner) and sockets_of(group, owner) or {}
            if is_process(owner) and #sockets == 0 then
                leave(group, owner)
            else
                members[#members + 1] = {owner, sockets}
            end
        end
    end
    return members
end

-- Queue a message: -1, or how deep the queue is when that is its limit. The queue of a group's
-- member outlives its messages for a while, as evidence that nobody read them.
local function push(owner, targets, message, expiry, linger, limit)
    local key = queue_key(owner)
    local depth = redis.call('LLEN', key)
    if depth >= limit then
        if drop_expired(key) then
            leave_all(owner)
            depth = redis.call('LLEN', key)
        end
        if depth >= limit then
            count(owner, 'channel_full_count')
            return depth
        end
    end
    local header = string.format('%.0f %s\n', now + expiry, targets)
    redis.call('RPUSH', key, string.sub(message, 1, 1) .. header .. string.sub(message, 2))
    local is_member = redis.call('EXISTS', joined_key(owner)) == 1
    keep(key, is_member and expiry + linger or expiry)
    count(owner, 'messages_count')
    return -1
end
