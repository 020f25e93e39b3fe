-- SPDX-License-Identifier: MIT
-- Takes the bytes of a connection apart into responses { status, head, body }; raises on anything that is no response.
return function(bytes, is_head)
  local list, at = {}, 1
  while at <= #bytes do
    local head, from = bytes:match("^(HTTP/1%.1 %d%d%d.-\r\n)\r\n()", at)
    assert(head, "no response: " .. bytes:sub(at, at + 80))
    local status, length = tonumber(head:sub(10, 12)), tonumber(head:match("\r\nContent%-Length: (%d+)\r\n"))
    local is_bare = status == 100 or status == 204
    assert(is_bare == (length == nil), "a length where none belongs, or none: " .. head)
    if is_bare or is_head then length = 0 end
    assert(#bytes >= from + length - 1, "the body is cut")
    list[#list + 1] = { status = status, head = head, body = bytes:sub(from, from + length - 1) }
    at = from + length
  end
  return list
end
