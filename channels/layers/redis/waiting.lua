-- How many messages wait in each queue, and when the oldest of them expires (milliseconds from
-- now, as text; "" without one); or nothing for a key that is no queue. Entries stand in the order
-- in which they expire, so that the first live one is found by halving, however many have expired
-- before it.
-- KEYS: the queues.
local function look_into(queue)
    local length = redis.pcall('LLEN', queue)
    if type(length) ~= 'number' then
        return false
    end
    local first, last, middle = 0, length, 0
    while first < last do
        if expiry_of(redis.call('LINDEX', queue, middle)) <= now then
            first = middle + 1
        else
            last = middle
        end
        middle = math.floor((first + last) / 2)
    end
    local oldest = redis.call('LINDEX', queue, first)
    return {length - first, oldest and tostring(expiry_of(oldest) - now) or ''}
end

local answers = {}
for number, queue in ipairs(KEYS) do
    answers[number] = look_into(queue)
end
return answers
