-- The end tag of LM's datagrams (docs/end-tag.md): 8 bytes behind the UDP datagram. It is shown where Wireshark has put the
-- fragments together, or where there is one; `lm_tag.good` says whether it binds the first fragment's headers.
-- ac/wireshark/install.sh puts it where Wireshark and tshark look. The MTU is a preference: its stride says where a tag lies.

local first, tag = pcall(Proto, "lm_tag", "LM End Tag")
if not first then return end

local f = {
  digest = ProtoField.bool("lm_tag.has_digest", "Order digest follows"),
  order = ProtoField.uint32("lm_tag.digest", "Order digest", base.HEX),
  bind = ProtoField.bytes("lm_tag.bind", "Bind"),
  good = ProtoField.bool("lm_tag.good", "Binds these headers"),
}
tag.fields = f
tag.prefs.mtu = Pref.uint("MTU", 1500, "Bytes of IP packet on the link; all nodes of a link have the same")

local src, dst, id = Field.new("ip.src"), Field.new("ip.dst"), Field.new("ip.id")
local hlen, total, offset = Field.new("ip.hdr_len"), Field.new("ip.len"), Field.new("ip.frag_offset")
local more, whole = Field.new("ip.flags.mf"), Field.new("ip.reassembled.data")
local header, proto = Field.new("ip.version"), Field.new("ip.proto")

local function mix(x)
  x = x:bxor(x:rshift(30)) * UInt64(0x1ce4e5b9, 0xbf58476d)
  x = x:bxor(x:rshift(27)) * UInt64(0x133111eb, 0x94d049bb)
  return x:bxor(x:rshift(31))
end

-- The first fragment's identification is that of the last one: they have it in common.
local function bind_of(payload, kind)
  local source, sent = src().range:uint(), dst().range:uint()
  local ports = payload(0, 4):uint()
  local h = mix(UInt64(sent, source):bxor(UInt64(0x7f4a7c15, 0x9e3779b9)))
  h = mix(h:bxor(UInt64(id().value * 65536 + payload(4, 2):uint(), ports)))
  return mix(h:bxor(UInt64(kind * 65536 + payload(6, 2):uint(), 0)))
end

-- Where the tag lies in an IP payload with a UDP datagram of so many bytes; nil: there is none.
local function place(udp)
  local stride = tag.prefs.mtu - 20
  stride = stride - stride % 8
  local rest = udp % stride
  if rest + 8 <= stride - 34 then return udp end
  local own = math.ceil(udp / stride) * stride
  if own + 8 <= 65515 then return own end
end

-- The IP payload: put together, or that of a packet in one piece; nil: a fragment.
local function payload_of(buffer)
  local data = whole()
  if data then return data.range end
  if more().value or offset().value ~= 0 then return end
  local start = header().offset + hlen().value
  local len = total().value - hlen().value
  if len >= 0 and start + len <= buffer:len() then return buffer(start, len) end
end

function tag.dissector(buffer, pinfo, tree)
  -- Of a packet within a packet (ICMP errors) there are several headers: those are not looked at.
  if not header() or select("#", header()) > 1 or not total() or not src() then return end
  local payload = payload_of(buffer)
  if not payload or payload:len() < 16 or proto().value ~= 17 then return end
  local udp = payload(4, 2):uint()
  local at = udp >= 8 and place(udp)
  if not at or payload:len() < at + 8 then return end
  local kind = payload(at, 1):uint()
  if kind ~= 0x10 and kind ~= 0x11 then return end
  local bind = bind_of(payload, kind)
  local want, said
  if kind == 0x11 then
    want, said = bind:rshift(40), payload(at, 4):uint() % 16777216
    want = want:lower()
  else
    want, said = bind:rshift(8), payload(at, 8):uint64():band(UInt64(0xffffffff, 0x00ffffff))
  end
  local node = tree:add(tag, payload(at, 8))
  node:add(f.digest, payload(at, 1), kind == 0x11)
  node:add(f.bind, payload(at + 1, kind == 0x11 and 3 or 7))
  if kind == 0x11 then node:add(f.order, payload(at + 4, 4)) end
  local good = want == said
  node:add(f.good, payload(at, 8), good):set_generated()
  node:append_text(good and ": good" or ": bad")
end

register_postdissector(tag)
