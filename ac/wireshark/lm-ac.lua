-- LM admission control, version 1: the control messages on UDP port 19533, as docs/admission-control.md specifies them.
-- ac/wireshark/install.sh puts it where Wireshark and tshark look, in every version and for every user. By hand: into the
-- folder that Wireshark calls "Personal Lua Plugins" (Help, About, Folders; tshark -G folders). Root needs "Global Lua Plugins":
-- from 4.4 on nothing of a user's is run for root, neither the personal folder nor -X lua_script:ac/wireshark/lm-ac.lua.

-- Loaded twice (in both folders, or with -X besides) the first one stays.
local first, lm = pcall(Proto, "lm_ac", "LM Admission Control")
if not first then return end

local kinds = {
  [1] = "LM_REQ", [2] = "LM_ENDME", [3] = "LM_ACQ_OK", [4] = "LM_ACQ_REJ", [5] = "LM_APPEND_ADDR", [6] = "LM_REMOVE_ADDR",
  [16] = "LM_CHALLENGE",
}
local reasons = { [0] = "busy", [1] = "landing", [2] = "queued", [3] = "full", [4] = "withdrawn", [5] = "over" }

local f = {
  magic = ProtoField.string("lm_ac.magic", "Magic"),
  version = ProtoField.uint8("lm_ac.version", "Version"),
  kind = ProtoField.uint8("lm_ac.kind", "Kind", base.DEC, kinds),
  flags = ProtoField.uint8("lm_ac.flags", "Flags", base.HEX),
  keyed = ProtoField.bool("lm_ac.flags.mac", "MAC follows", 8, nil, 0x01),
  reason = ProtoField.uint8("lm_ac.reason", "Reason", base.DEC, reasons),
  priority = ProtoField.uint8("lm_ac.priority", "Priority"),
  queue = ProtoField.uint8("lm_ac.queue", "Landing queue"),
  from = ProtoField.uint64("lm_ac.from", "From", base.HEX),
  to = ProtoField.uint64("lm_ac.to", "To (0: all)", base.HEX),
  incarnation = ProtoField.uint64("lm_ac.incarnation", "Incarnation"),
  sequence = ProtoField.uint64("lm_ac.sequence", "Sequence"),
  echo_incarnation = ProtoField.uint64("lm_ac.echo_incarnation", "Addressee's incarnation"),
  echo_sequence = ProtoField.uint64("lm_ac.echo_sequence", "Sequence answered, or known"),
  address = ProtoField.uint64("lm_ac.address", "Address", base.HEX),
  size = ProtoField.uint64("lm_ac.size", "Size (bytes)"),
  landing = ProtoField.ether("lm_ac.landing", "Frames go to (0: where messages go)"),
  challenge = ProtoField.uint64("lm_ac.challenge", "Nonce to send back (0: none)", base.HEX),
  response = ProtoField.uint64("lm_ac.response", "Nonce sent back (0: none)", base.HEX),
  request = ProtoField.uint64("lm_ac.request", "Request"),
  grant = ProtoField.uint64("lm_ac.grant", "Grant"),
  lease = ProtoField.uint32("lm_ac.lease", "Lease (µs)"),
  flush = ProtoField.uint16("lm_ac.flush", "Flush frames"),
  position = ProtoField.uint16("lm_ac.position", "Position in the queue"),
  mac = ProtoField.bytes("lm_ac.mac", "MAC"),
}
lm.fields = f

local malformed = ProtoExpert.new("lm_ac.malformed", "No message of version 1", expert.group.MALFORMED, expert.severity.ERROR)
lm.experts = { malformed }

local LENGTH, MAC = 96, 16

-- Fields behind the first eight bytes: name, offset, length.
local wide = {
  { "from", 8, 8 }, { "to", 16, 8 }, { "incarnation", 24, 8 }, { "sequence", 32, 8 }, { "echo_incarnation", 40, 8 },
  { "echo_sequence", 48, 8 }, { "address", 56, 8 }, { "size", 64, 8 }, { "request", 72, 8 }, { "grant", 80, 8 },
  { "lease", 88, 4 }, { "flush", 92, 2 }, { "position", 94, 2 },
}

function lm.dissector(buffer, pinfo, tree)
  pinfo.cols.protocol = "LM-AC"
  local node = tree:add(lm, buffer())
  local n = buffer:len()
  local bad = n < LENGTH or buffer(0, 2):string() ~= "AC" or buffer(2, 1):uint() ~= 1
  if not bad then
    local keyed = buffer(4, 1):bitfield(7, 1) == 1
    bad = buffer(4, 1):uint() > 1 or n ~= LENGTH + (keyed and MAC or 0) or kinds[buffer(3, 1):uint()] == nil
  end
  if bad then
    node:add_proto_expert_info(malformed)
    pinfo.cols.info = "malformed"
    return n
  end
  local kind, reason = buffer(3, 1):uint(), buffer(5, 1):uint()
  node:add(f.magic, buffer(0, 2))
  node:add(f.version, buffer(2, 1))
  node:add(f.kind, buffer(3, 1))
  node:add(f.flags, buffer(4, 1)):add(f.keyed, buffer(4, 1))
  if kind == 4 then node:add(f.reason, buffer(5, 1)) end
  node:add(f.priority, buffer(6, 1))
  node:add(f.queue, buffer(7, 1))
  for _, field in ipairs(wide) do
    if field[1] == "size" and kind == 3 then
      node:add(f.landing, buffer(66, 6))
    elseif field[1] == "size" and kind == 16 then
      node:add(f.challenge, buffer(64, 8))
    elseif field[1] == "request" and kind == 16 then
      node:add(f.response, buffer(72, 8))
    else
      node:add(f[field[1]], buffer(field[2], field[3]))
    end
  end
  if n > LENGTH then node:add(f.mac, buffer(LENGTH, MAC)) end

  local info = kinds[kind]
  if kind == 4 then info = info .. " (" .. (reasons[reason] or reason) .. ")" end
  local request, grant = buffer(72, 8):uint64(), buffer(80, 8):uint64()
  if kind == 16 then
    if buffer(64, 8):uint64() ~= UInt64(0) then info = info .. " asks" end
    if request ~= UInt64(0) then info = info .. " answers" end
  elseif request ~= UInt64(0) then
    info = info .. " request " .. tostring(request)
  end
  if grant ~= UInt64(0) then info = info .. " grant " .. tostring(grant) end
  if kind == 3 then info = info .. " lease " .. buffer(88, 4):uint() .. " µs flush " .. buffer(92, 2):uint() end
  node:append_text(": " .. info)
  pinfo.cols.info = info
  return n
end

DissectorTable.get("udp.port"):add(19533, lm)
