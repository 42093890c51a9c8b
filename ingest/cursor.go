package ingest

import (
	"bytes"
	"net/netip"

	"weir/event"
)

// fields is a cursor over a line. It keeps the first error, so that a decoder
// reads like its format and asks once, at the end.
type fields struct {
	rest []byte
	err  *Malformed
	mem  *event.Arena
	key  *event.Key
}

// begin returns a cursor at the start of a line.
func begin(line []byte, mem *event.Arena, key *event.Key) fields {
	f := fields{rest: line, mem: mem, key: key}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		f.rest = line[:n-1]
	}
	switch {
	case len(line) > MaxLine:
		f.fail(ErrTooLong)
	case len(f.rest) == 0:
		f.fail(errEmpty)
	}
	return f
}

// fail keeps the first reason and ends the line, so that what is read after it is empty.
func (f *fields) fail(why *Malformed) {
	if f.err == nil {
		f.err = why
	}
	f.rest = nil
}

// done returns the first error.
func (f *fields) done() error {
	if f.err == nil {
		return nil // not a typed nil
	}
	return f.err
}

// token returns the text up to the next space, which it consumes.
func (f *fields) token() []byte {
	i := bytes.IndexByte(f.rest, ' ')
	t := f.rest
	if i < 0 {
		f.rest = nil
	} else {
		t, f.rest = t[:i], f.rest[i+1:]
	}
	if len(t) == 0 {
		f.fail(errFields)
	}
	return t
}

// skip passes over n tokens.
func (f *fields) skip(n int) {
	for ; n > 0; n-- {
		f.token()
	}
}

// addr reads the address of who connected.
func (f *fields) addr() netip.Addr { return f.parseAddr(f.token()) }

// addrPort reads an address with a port behind it.
func (f *fields) addrPort(b []byte) netip.Addr {
	port := bytes.LastIndexByte(b, ':')
	if port < 0 {
		f.fail(errAddress)
		return netip.Addr{}
	}
	if string(b[:port]) == "unix" {
		port++ // HAProxy writes unix:1 for a client on its first listener
	}
	return f.parseAddr(b[:port])
}

// parseAddr reads an address: a zone is left out, IPv4 in IPv6 is IPv4, and a
// Unix socket is the machine itself.
func (f *fields) parseAddr(b []byte) netip.Addr {
	a, ok := parseAddr(b)
	if !ok {
		f.fail(errAddress)
	}
	return a
}

func parseAddr(b []byte) (netip.Addr, bool) {
	if string(b) == "unix:" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	if a, ok := parseAddr4(b); ok {
		return a, true
	}
	if len(b) == 0 || len(b) > 64 || bytes.IndexByte(b, ':') < 0 {
		return netip.Addr{}, false // not worth the error that netip allocates
	}
	if b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	if i := bytes.IndexByte(b, '%'); i >= 0 {
		b = b[:i] // netip interns zones
	}
	a, err := netip.ParseAddr(event.View(b))
	return a.Unmap(), err == nil
}

// parseAddr4 reads a dotted quad as netip does.
func parseAddr4(b []byte) (netip.Addr, bool) {
	if len(b) < 7 || len(b) > 15 {
		return netip.Addr{}, false
	}
	var a [4]byte
	i := 0
	for part := range a {
		start, n := i, 0
		for i < len(b) && isDigit(b[i]) && i-start < 3 {
			n = n*10 + int(b[i]-'0')
			i++
		}
		if i == start || n > 255 || (b[start] == '0' && i-start > 1) {
			return netip.Addr{}, false
		}
		a[part] = byte(n)
		if part < 3 {
			if i == len(b) || b[i] != '.' {
				return netip.Addr{}, false
			}
			i++
		}
	}
	return netip.AddrFrom4(a), i == len(b)
}

// status reads a response status; "-" is none.
func (f *fields) status() int32 { return int32(f.number(f.token(), 999, 0)) }

// bytes reads a size; "-" is none.
func (f *fields) bytes() int64 { return f.number(f.token(), 1<<53, -1) }

// number reads a whole number up to limit; "-" is absent.
func (f *fields) number(b []byte, limit, absent int64) int64 {
	if isDash(b) {
		return absent
	}
	n, ok := parseInt(b)
	if !ok || n > limit {
		f.fail(errNumber)
		return absent
	}
	return n
}

// parseInt reads up to 18 decimal digits.
func parseInt(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// time reads a time.
func (f *fields) time(layout string, b []byte) int64 {
	ns, ok := ParseTime(layout, b)
	if !ok {
		f.fail(errTime)
	}
	return ns
}

// text reads a token; "-" is empty.
func (f *fields) text() string { return f.value(f.token(), plain) }

// quoted reads a quoted text, or a bare "-".
func (f *fields) quoted() string { return f.value(f.raw()) }

// raw reads a quoted text without decoding it. A quote in it is escaped by a
// backslash; the one that is not ends the field, and with it must end the line
// or stand a space.
func (f *fields) raw() ([]byte, escape) {
	s := f.rest
	if len(s) == 0 {
		f.fail(errFields)
		return nil, plain
	}
	if s[0] != '"' {
		if t := f.token(); !isDash(t) {
			f.fail(errQuote)
		}
		return nil, plain
	}
	end, esc := quoteEnd(s)
	if end < 0 || (end+1 < len(s) && s[end+1] != ' ') {
		f.fail(errQuote)
		return nil, plain
	}
	f.rest = s[min(end+2, len(s)):]
	return s[1:end], esc
}

// quoteEnd returns where the quote is that ends the text that starts with the
// quote s[0], or -1.
func quoteEnd(s []byte) (end int, esc escape) {
	end = 1
	for {
		i := bytes.IndexByte(s[end:], '"')
		if i < 0 {
			return -1, plain
		}
		end += i
		if s[end-1] != '\\' {
			break
		}
		slashes := 1
		for s[end-1-slashes] == '\\' {
			slashes++ // s[0] is a quote and ends this
		}
		if slashes%2 == 0 {
			break
		}
		end++
	}
	if bytes.IndexByte(s[1:end], '\\') >= 0 {
		esc = backslash
	}
	return end, esc
}

// value returns the text of a field: decoded once, cut if it is too long; "-"
// stands for none.
func (f *fields) value(b []byte, esc escape) string {
	if len(b) == 0 || isDash(b) {
		return ""
	}
	return clip(event.View(f.decode(b, esc)), f.mem, f.key)
}

// host returns a host name without its port, in lower case.
func (f *fields) host(b []byte) string {
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && bytes.IndexByte(b[i:], ']') < 0 && (b[0] == '[' || bytes.IndexByte(b, ':') == i) {
		b = b[:i]
	}
	if isDash(b) {
		return ""
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			low := append(f.mem.Grow(len(b)), b...)
			for ; i < len(low); i++ {
				if c := low[i]; 'A' <= c && c <= 'Z' {
					low[i] = c + 'a' - 'A'
				}
			}
			return clip(f.mem.Keep(low), f.mem, f.key)
		}
	}
	return clip(event.View(b), f.mem, f.key)
}

// forwarded returns an address chain, of which the right end counts.
func (f *fields) forwarded(b []byte, esc escape) string {
	if len(b) == 0 || isDash(b) {
		return ""
	}
	return clipForwarded(event.View(f.decode(b, esc)))
}

// request reads a request line into ev. What is no HTTP request, such as a TLS
// handshake on a plain port, is an event without a method whose path is the
// text as it came.
func (f *fields) request(b []byte, esc escape, ev *event.Event) {
	if len(b) == 0 || isDash(b) {
		return
	}
	b = f.decode(b, esc)
	i := bytes.IndexByte(b, ' ')
	if i < 0 || !isMethod(b[:i]) {
		ev.Path = clip(event.View(b), f.mem, f.key)
		return
	}
	target := b[i+1:]
	if j := bytes.LastIndexByte(target, ' '); j >= 0 && bytes.HasPrefix(target[j+1:], []byte("HTTP/")) {
		ev.Protocol = clip(event.View(target[j+1:]), f.mem, f.key)
		target = target[:j]
	} else if len(target) == 0 || target[0] != '/' {
		ev.Path = clip(event.View(b), f.mem, f.key)
		return
	}
	ev.Method = event.View(b[:i])
	f.uri(target, ev)
}

// uri reads a request target: path and query, and the site of http://site/path.
func (f *fields) uri(b []byte, ev *event.Event) {
	if len(b) > 0 && b[0] != '/' {
		if i := bytes.Index(b[:min(len(b), 12)], []byte("://")); i > 0 {
			host := b[i+3:]
			b = nil
			if j := bytes.IndexAny(host, "/?"); j >= 0 {
				host, b = host[:j], host[j:]
			}
			if j := bytes.LastIndexByte(host, '@'); j >= 0 {
				host = host[j+1:]
			}
			if ev.Site == "" && len(host) > 0 {
				ev.Site = f.host(host)
			}
			if len(b) == 0 || b[0] != '/' {
				ev.Path = "/"
			}
		}
	}
	if i := bytes.IndexByte(b, '?'); i >= 0 {
		ev.Query = clip(event.View(b[i+1:]), f.mem, f.key)
		b = b[:i]
	}
	if len(b) > 0 {
		ev.Path = clip(event.View(b), f.mem, f.key)
	}
}

// isMethod reports whether b may be a method: letters, and - or _ among them.
func isMethod(b []byte) bool {
	if len(b) == 0 || len(b) > 24 {
		return false
	}
	for _, c := range b {
		if l := c | 0x20; (l < 'a' || l > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isDash(b []byte) bool { return len(b) == 1 && b[0] == '-' }

// endsInAddress reports whether the last hop of a text is an address: what the
// nearest proxy appended, whatever the client wrote in front of it.
func endsInAddress(b []byte) bool {
	hop := bytes.TrimSpace(b[bytes.LastIndexByte(b, ',')+1:])
	if len(hop) > 4 && bytes.EqualFold(hop[:4], []byte("for=")) {
		return true
	}
	if _, ok := parseAddr(hop); ok {
		return true
	}
	port := bytes.LastIndexByte(hop, ':')
	if port < 0 {
		return false
	}
	_, ok := parseAddr(hop[:port])
	return ok
}
