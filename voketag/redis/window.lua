-- Sliding window of a minute: this minute's count and the share of the last one's that still lies
-- within it. Kept as "minute count previous".
local MINUTE_MS = 60000

-- For how many ms to wait until one more fits, as text; or nil, and what to keep once it is counted.
local function window(kept, now_ms, limit)
  local minute, count, previous = math.floor(now_ms / MINUTE_MS), 0, 0
  if kept then
    local then_minute, then_count, then_previous = string.match(kept, '^(%d+) (%d+) (%d+)$')
    if tonumber(then_minute) == minute then
      count, previous = tonumber(then_count), tonumber(then_previous)
    elseif tonumber(then_minute) == minute - 1 then
      previous = tonumber(then_count)
    end
  end
  local into = now_ms % MINUTE_MS
  if previous * (MINUTE_MS - into) / MINUTE_MS + count + 1 > limit then
    local wait = MINUTE_MS - into
    if count + 1 > limit then
      wait = wait + MINUTE_MS * (1 - (limit - 1) / count)
    else
      wait = MINUTE_MS * (1 - (limit - 1 - count) / previous) - into
    end
    return tostring(math.ceil(wait))
  end
  return nil, string.format('%d %d %d', minute, count + 1, previous)
end
