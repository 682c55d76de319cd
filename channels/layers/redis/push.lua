-- Queue messages, in their order. A queue that is full takes no other message of this call, so
-- that they keep their order.
-- Returns three numbers for each run that was not taken as a whole: its number, how many of its
-- messages were taken, and -2 if the owner is in the group no more, else the depth of its queue.
-- KEYS: the counter of all channels, the announced processes; for each owner its queue, groups,
-- journal and counter.
-- ARGV: expiry, how long a queue is evidence, number of runs, number of arguments before the
-- bodies; for each run of messages to one owner the number of the owner, its limit, the group of
-- which it is a member ("" for none), the number of messages, and these: target, newline and body,
-- or for a member the number of a body; the bodies.
local GONE = -2
local expiry, evidence = tonumber(ARGV[1]), tonumber(ARGV[2])
local before_bodies = tonumber(ARGV[4])
local head = entry_head(now + expiry)
local owners, troubles = {}, {}

local function owner_with(number)
    local first = 3 + (number - 1) * 4
    local owner = {
        queue = KEYS[first], joined = KEYS[first + 1], journal = KEYS[first + 2],
        counter = KEYS[first + 3], entries = {}, refused = 0,
    }
    owner.depth = redis.call('LLEN', owner.queue)
    owners[number] = owner
    return owner
end

-- How many of some messages there is room for. What was expired goes, and what was to be read ends
-- memberships.
local function room_for(size, owner, limit)
    if owner.is_full then
        return 0
    end
    if owner.depth + size > limit and drop_expired(owner.queue) then
        end_memberships(owner.queue, owner.joined)
        owner.depth = redis.call('LLEN', owner.queue) + #owner.entries
    end
    owner.is_full = owner.depth + size > limit
    return math.max(0, math.min(size, limit - owner.depth))
end

-- How the entries of an owner begin, for a group's members those that name the place; nothing when
-- it has none any more.
local function head_for(owner, group)
    if group == '' then
        return head
    end
    if not is_member(KEYS[2], owner.queue, owner.joined, group) then
        return nil
    end
    local is_process = string.sub(owner.queue, -1) == '!'
    return head .. (is_process and '@' .. group .. ' ' .. place_in(owner.journal) or '') .. '\n'
end

local function report(run, taken, state)
    local at = #troubles
    troubles[at + 1], troubles[at + 2], troubles[at + 3] = run, taken, state
end

local at = 5
for run = 1, tonumber(ARGV[3]) do
    local number, limit = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local group, size = ARGV[at + 2], tonumber(ARGV[at + 3])
    local first = at + 4
    at = first + size
    local owner = owners[number] or owner_with(number)
    local start = head_for(owner, group)
    if not start then
        report(run, 0, GONE)
    else
        local taken, entries = room_for(size, owner, limit), owner.entries
        local length = #entries - first + 1
        for item = first, first + taken - 1 do
            local body = group == '' and ARGV[item] or ARGV[before_bodies + ARGV[item]]
            entries[length + item] = start .. body
        end
        owner.depth = owner.depth + taken
        owner.refused = owner.refused + size - taken
        if taken < size then
            report(run, taken, owner.depth)
        end
    end
end

local sent, refused = 0, 0
for _, owner in pairs(owners) do
    local count_here = #owner.entries
    if count_here > 0 then
        redis.call('RPUSH', owner.queue, unpack(owner.entries))
        keep_queue(owner.queue, owner.joined, expiry, evidence)
        count(owner.counter, 'messages_count', count_here)
    end
    if owner.refused > 0 then
        count(owner.counter, 'channel_full_count', owner.refused)
    end
    sent, refused = sent + count_here, refused + owner.refused
end
if sent > 0 then
    count(KEYS[1], 'messages_count', sent)
end
if refused > 0 then
    count(KEYS[1], 'channel_full_count', refused)
end
return troubles
