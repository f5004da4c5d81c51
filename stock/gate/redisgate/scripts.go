package redisgate

import "github.com/redis/rueidis"

// Keys of a sale, all in one slot:
//
//	<prefix>{<sale>}:g  hash: t token, q sequence, u narrows from (ms), s<sku> "version available free"
//	<prefix>{<sale>}:m  hash: <user hash> "throttle(13 digits)" + up to 8 hashes of keys (8 bytes each)
//	<prefix>{<sale>}:l  hash: <user hash> "until left sku": told by SQL that the limit is reached
//	<prefix>{<sale>}:b  string: who is building, for 2 s
//
// The token says which build the content belongs to. The sequence grows with every call that writes, so that a copy that has
// lost writes is recognised by whoever saw them. All of them expire.
const (
	scriptKeys = 4
	fieldToken = "t"
	fieldSeq   = "q"
	fieldSKU   = "s"
)

// believe is the beginning of every script that uses the content: the token must be the one the caller knows, and the sequence not
// behind what the caller has seen. ARGV: 1 token, 2 sequence, 3 TTL in ms.
const believe = `
local g = redis.call('HMGET', KEYS[1], 't', 'q', 'u')
local seq = tonumber(g[2])
if g[1] ~= ARGV[1] or not seq or seq < tonumber(ARGV[2]) then return {'unknown'} end
local function parse(v)
  if not v then return nil end
  local version, available, free = string.match(v, '^(%d+) (%d+) (-?%d+)$')
  if not version then return nil end
  return {tonumber(version), tonumber(available), tonumber(free)}
end
`

// admitScript judges a batch of attempts of one sale. ARGV after believe's: 4 throttle interval in ms (0: none), 5 burst,
// 6 grace in ms, 7 number of SKUs, 8 number of attempts; then the SKUs, the users' hashes, the attempts.
//
// An attempt is 8 bytes of key hash and 3 bytes per item: place of the SKU, quantity (two bytes, at most 65535); none means that
// only the mark is asked for. The answer is {"ok", sequence, letters, details}: one letter per attempt, p passed, r the
// key was admitted before, t too fast, l over the limit, h no unit is free, e not enough are left, n only asked for;
// a capital when the user has a mark. Units are taken off the free count only when it narrows: retries of the time before a build
// look like new attempts, and commits bring the count down anyway. details are triples: place of the attempt (from 0), a number (ms to wait, units left), SKU.
const admitScript = believe + `
local every, burst, grace = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local ns, n = tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = tonumber(g[3]) or 0
local narrow = from <= now or from - now > grace
local levels = {}
if ns > 0 then
  local raw = redis.call('HMGET', KEYS[1], unpack(ARGV, 9, 8 + ns))
  for i = 1, ns do levels[i] = parse(raw[i]) end
end
local marks = redis.call('HMGET', KEYS[2], unpack(ARGV, 9 + ns, 8 + ns + n))
local limits = false
if redis.call('EXISTS', KEYS[3]) == 1 then
  limits = redis.call('HMGET', KEYS[3], unpack(ARGV, 9 + ns, 8 + ns + n))
end
local fresh, order, out, details, dirty = {}, {}, {}, {}, false
local byte, sub, find = string.byte, string.sub, string.find

local function judge(i, wish, mark)
  if every > 0 and mark then
    local tat = tonumber(sub(mark, 1, 13)) or 0
    local wait = tat - (burst - 1) * every - now
    if wait > 0 and wait <= every * burst then return 't', wait, '' end
  end
  local limit = limits and limits[i]
  if limit then
    local till, left, sku = string.match(limit, '^(%d+) (%d+) (.*)$')
    till, left = tonumber(till), tonumber(left)
    if till and till > now and till - now <= 1000 then
      for j = 9, #wish, 3 do
        local at, high, low = byte(wish, j, j + 2)
        if ARGV[8 + at] == 's' .. sku and high * 256 + low > left then return 'l', left, sku end
      end
    end
  end
  for j = 9, #wish, 3 do
    local at, high, low = byte(wish, j, j + 2)
    local level = levels[at]
    if level and level[3] < high * 256 + low then
      if level[3] > 0 then return 'e', level[3], sub(ARGV[8 + at], 2) end
      return 'h', 0, sub(ARGV[8 + at], 2)
    end
  end
  return 'p'
end

for i = 1, n do
  local user, wish = ARGV[8 + ns + i], ARGV[8 + ns + n + i]
  local mark = fresh[user] or marks[i]
  local key, letter, number, sku = sub(wish, 1, 8), 'p', 0, ''
  if mark and find(mark, key, 14, true) then letter = 'r'
  elseif #wish < 9 then letter = 'n'
  elseif narrow then letter, number, sku = judge(i, wish, mark) end
  if letter == 'p' then
    local tat = mark and tonumber(sub(mark, 1, 13)) or 0
    if tat < now or tat - now > every * burst then tat = now end
    if not fresh[user] then order[#order + 1] = user end
    fresh[user] = string.format('%013.0f', tat + every) .. key .. (mark and sub(mark, 14, 69) or '')
    for j = 9, #wish, 3 do
      local at, high, low = byte(wish, j, j + 2)
      local level = levels[at]
      if level and narrow then level[3] = level[3] - (high * 256 + low); dirty = true end
    end
  elseif letter ~= 'r' and letter ~= 'n' then
    details[#details + 1] = i - 1; details[#details + 1] = number; details[#details + 1] = sku
  end
  if mark then letter = string.upper(letter) end
  out[i] = letter
end

if #order > 0 then
  seq = seq + 1
  local set = {'q', string.format('%.0f', seq)}
  if dirty then
    for i = 1, ns do
      local level = levels[i]
      if level then
        set[#set + 1] = ARGV[8 + i]
        set[#set + 1] = string.format('%.0f %.0f %.0f', level[1], level[2], level[3])
      end
    end
  end
  redis.call('HSET', KEYS[1], unpack(set))
  set = {}
  for i = 1, #order do set[2 * i - 1] = order[i]; set[2 * i] = fresh[order[i]] end
  redis.call('HSET', KEYS[2], unpack(set))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return {'ok', seq, table.concat(out), details}
`

// pushScript takes over stock rows and limits. ARGV after believe's: 4 "hard" or "soft", 5 how long a limit is believed in ms,
// 6 number of rows; then per row: field, version, available; then per limit: user hash, left, SKU.
//
// A soft row is a commit: older or equal versions are passed over; units taken were taken off the free count on admission
// already, units that came back are added. A hard row is a snapshot: the free count becomes what is available, for the
// same version too. The answer is {"ok", sequence}.
const pushScript = believe + `
local hard, nl = ARGV[4] == 'hard', tonumber(ARGV[6])
local set = {}
for i = 7, 6 + 3 * nl, 3 do
  local version, available = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local old = parse(redis.call('HGET', KEYS[1], ARGV[i]))
  local free = available
  if old and not hard then
    free = old[3]
    if available > old[2] then free = math.max(free, 0) + available - old[2] end
    free = math.min(free, available)
  end
  if not old or version > old[1] or (hard and version == old[1]) then
    set[#set + 1] = ARGV[i]
    set[#set + 1] = string.format('%.0f %.0f %.0f', version, available, free)
  end
end
seq = seq + 1
redis.call('HSET', KEYS[1], 'q', string.format('%.0f', seq), unpack(set))
local limits = {}
if 6 + 3 * nl < #ARGV then
  local time = redis.call('TIME')
  local till = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[5])
  for i = 7 + 3 * nl, #ARGV, 3 do
    limits[#limits + 1] = ARGV[i]
    limits[#limits + 1] = string.format('%.0f', till) .. ' ' .. ARGV[i + 1] .. ' ' .. ARGV[i + 2]
  end
  redis.call('HSET', KEYS[3], unpack(limits))
  redis.call('PEXPIRE', KEYS[3], ARGV[5] * 10)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'ok', seq}
`

// buildScript replaces what is there, if it is still what the caller saw. ARGV: 1 token, 2 token seen ("" for none), 3 TTL in ms,
// 4 grace in ms, 5 owner of the lock; then per row: field, version, available. Marks stay: an old mark only costs
// a look-up. The answer is {"ok", sequence} or {"unknown"}.
const buildScript = `
local held = redis.pcall('GET', KEYS[4])
if held ~= ARGV[5] then return {'unknown'} end
for i = 1, 3 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[i]) end
end
if (redis.call('HGET', KEYS[1], 't') or '') ~= ARGV[2] then redis.call('DEL', KEYS[4]); return {'unknown'} end
redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = now + tonumber(ARGV[4])
local set = {'t', ARGV[1], 'q', '1', 'u', string.format('%.0f', from)}
for i = 6, #ARGV, 3 do
  set[#set + 1] = ARGV[i]
  set[#set + 1] = ARGV[i + 1] .. ' ' .. ARGV[i + 2] .. ' ' .. ARGV[i + 2]
end
redis.call('HSET', KEYS[1], unpack(set))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'ok', 1}
`

// scripts are the three programs; each client has its own because a script remembers how it was loaded.
type scripts struct{ admit, push, build *rueidis.Lua }

func newScripts() scripts {
	return scripts{rueidis.NewLuaScript(admitScript), rueidis.NewLuaScript(pushScript), rueidis.NewLuaScript(buildScript)}
}

// Commands returns what the gate and its scripts need the server to allow, for redis.Options.Commands.
func Commands() []string {
	return []string{"EVALSHA", "EVAL", "GET", "SET", "DEL", "HGET", "HMGET", "HSET", "HGETALL", "EXISTS", "TYPE", "PEXPIRE", "TIME"}
}
