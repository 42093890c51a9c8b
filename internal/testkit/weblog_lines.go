package testkit

import (
	"strconv"
	"strings"
)

// appendNginxJSON writes what nginx writes with an escape=json log_format.
func appendNginxJSON(b []byte, h *hit, c *logClock) []byte {
	b = append(b, `{"time_iso8601":"`...)
	b = append(b, c.iso...)
	b = append(b, `","remote_addr":"`...)
	b = h.address.append(b)
	b = append(b, `","host":"shop.example","request_method":"`...)
	b = append(b, h.method...)
	b = append(b, `","request_uri":"`...)
	b = h.appendURI(b)
	b = append(b, `","server_protocol":"HTTP/2.0","status":`...)
	b = strconv.AppendInt(b, int64(h.status), 10)
	b = append(b, `,"body_bytes_sent":`...)
	b = strconv.AppendInt(b, int64(h.bytes), 10)
	b = append(b, `,"request_time":`...)
	b = append(b, '0', '.')
	b = appendPadded(b, int64(h.millis), 3)
	b = append(b, `,"http_referer":"`...)
	if h.referer != "-" {
		b = append(b, h.referer...)
	}
	b = append(b, `","http_user_agent":"`...)
	b = append(b, h.agent...)
	b = append(b, `","http_accept_language":"`...)
	b = append(b, h.language...)
	b = append(b, `","ssl_protocol":"TLSv1.3","ssl_ja4":"`...)
	b = append(b, h.ja4...)
	b = append(b, `","session":"`...)
	if h.session {
		b = append(b, "5e"...)
		b = strconv.AppendUint(b, 1<<60|uint64(h.client), 16)
	}
	b = append(b, `","username":"`...)
	b = h.appendUser(b)
	b = append(b, `","request_id":"`...)
	b = strconv.AppendUint(b, 1<<63|(uint64(c.second)*1000+uint64(c.millis))*0x9e3779b97f4a7c15, 16)
	b = strconv.AppendUint(b, 1<<63|uint64(h.client+h.bytes)*0xd1342543de82ef95, 16)
	return append(b, `","scheme":"https"}`...)
}

// appendCombined writes the combined format.
func appendCombined(b []byte, h *hit, c *logClock) []byte {
	b = h.address.append(b)
	b = append(b, " - "...)
	if h.user >= 0 {
		b = h.appendUser(b)
	} else {
		b = append(b, '-')
	}
	b = append(b, " ["...)
	b = append(b, c.clf...)
	b = append(b, `] "`...)
	b = append(b, h.method...)
	b = append(b, ' ')
	b = h.appendURI(b)
	b = h.appendTracking(b, c)
	b = append(b, ` HTTP/2.0" `...)
	b = strconv.AppendInt(b, int64(h.status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(h.bytes), 10)
	b = append(b, ` "`...)
	b = append(b, h.referer...)
	b = h.appendTracking(b, c)
	b = append(b, `" "`...)
	b = append(b, h.agent...)
	return append(b, '"')
}

// appendTracking appends what campaigns hang on to addresses of pages.
func (h *hit) appendTracking(b []byte, c *logClock) []byte {
	if h.method != "GET" {
		return b
	}
	sep := byte('?')
	if strings.Contains(h.suffix, "?") {
		sep = '&'
	}
	b = append(b, sep)
	b = append(b, "utm_source=newsletter&utm_medium=email&utm_campaign=spring-collection-week-10&utm_content=hero-banner&gclid="...)
	for i := range 4 {
		b = strconv.AppendUint(b, (uint64(h.client)+uint64(c.millis)<<20)*0x9e3779b97f4a7c15>>(4*i)|1<<59, 36)
	}
	return b
}

func (h *hit) appendURI(b []byte) []byte {
	b = append(b, h.path...)
	if h.number >= 0 {
		b = strconv.AppendInt(b, int64(h.number), 10)
	}
	return append(b, h.suffix...)
}

func (h *hit) appendUser(b []byte) []byte {
	if h.user < 0 {
		return b
	}
	b = append(b, "user"...)
	b = strconv.AppendInt(b, int64(h.user), 10)
	return append(b, "@mail.example"...)
}

// appendPadded writes v with at least n digits.
func appendPadded(b []byte, v int64, n int) []byte {
	for limit := int64(10); n > 1; n-- {
		if v < limit {
			b = append(b, "00000000"[:n-1]...)
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(b, v, 10)
}
