-- A part for scripts that have to do with queues.

local STATISTICS_LIFETIME, COUNTS_KEPT = 86400 * 1000, 100

local function expiry_of(entry)
    return tonumber(string.match(entry, '^.(%d+) ')) or math.huge
end

-- Drop what has expired at the front of a queue; true if there was anything.
local function drop_expired(queue)
    local dropped = false
    local head = redis.call('LINDEX', queue, 0)
    while head and expiry_of(head) <= now do
        redis.call('LPOP', queue)
        dropped = true
        head = redis.call('LINDEX', queue, 0)
    end
    return dropped
end

-- Who lets a message expire leaves all groups. A process announces itself as long as it lives, so
-- that a slow one stays.
local function end_memberships(queue, joined)
    if string.sub(queue, -1) ~= '!' then
        redis.call('UNLINK', joined)
    end
end

-- How an entry begins that expires at this time.
local function entry_head(expires)
    return string.format('\1%.0f ', expires)
end

-- Let a queue live longer than its messages, as evidence that nobody read them; that of a group's
-- member for much longer. It need not be told each time.
local function keep_queue(queue, joined, expiry, evidence)
    if redis.call('PTTL', queue) < expiry * 1.1 then
        local is_member = redis.call('EXISTS', joined) == 1
        redis.call('PEXPIRE', queue, math.ceil(expiry * 1.5 + (is_member and evidence or 0)))
    end
end

-- Count messages, which must not fail for that; the counter need not be told each time to live on.
local function count(counter, field, number)
    local total = redis.pcall('HINCRBY', counter, field, number)
    if type(total) ~= 'number' then
        return
    end
    if total <= COUNTS_KEPT or total % COUNTS_KEPT < number then
        redis.call('PEXPIRE', counter, STATISTICS_LIFETIME)
    end
end
