package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/event"
)

var errNotHTTP = &Malformed{"not an http log line"}

// errCapturedChain is why forwarded cannot be mapped: with a long enough header
// a client would choose which hop is the last.
var errCapturedChain = errors.New("fields: forwarded: haproxy cuts captured headers at the end, where the hop of the nearest proxy stands; " +
	"have it log the client instead (http-request set-src)")

// The parts of an HAProxy line that fields: may map to a field of the event.
const (
	haFrontend = iota
	haBackend
	haServer
	haRequestCookie
	haResponseCookie
	haTermination
	numHAParts
)

var haParts = [numHAParts]string{"frontend", "backend", "server", "request_cookie", "response_cookie", "termination"}

// maxCaptures bounds the captured headers that can be mapped, of each direction.
const maxCaptures = 16

// haproxyMap says where parts and captured headers of a line go.
type haproxyMap struct {
	parts    [numHAParts]slot
	captures [2][]slot // of the request, of the response
}

// newHAProxy reads HAProxy's HTTP log and HTTPS log (option httplog, httpslog),
// with whatever syslog wrote in front:
//
//	haproxy[1]: 192.0.2.7:38862 [30/Jul/2026:09:03:52.726] www~ app/node1 0/0/1/0/2 304 168 - - ---- 6/6/0/0/0 0/0 {shop.example|} {|} "GET / HTTP/1.1"
//
// HAProxy writes no names of captured headers, so fields: gives their places:
// {site: request.1, agent: request.2}. Its times are local without a zone; run
// it in UTC.
func newHAProxy(cfg Config) (Decoder, error) {
	m, err := parseHAProxyMap(cfg)
	if err != nil {
		return nil, err
	}
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		f.haproxyStart(ev)
		f.assignNonEmpty(m.parts[haFrontend], f.token(), ev)
		backend, server, _ := bytes.Cut(f.token(), []byte("/"))
		f.assignNonEmpty(m.parts[haBackend], backend, ev)
		f.assignNonEmpty(m.parts[haServer], server, ev)
		ev.Duration = f.haproxyTimers()
		ev.Status = f.haproxyStatus()
		ev.Bytes = f.number(bytes.TrimPrefix(f.token(), []byte("+")), 1<<53, -1)
		f.haproxyEnd(m, ev)
		return f.done()
	}, nil
}

func parseHAProxyMap(cfg Config) (*haproxyMap, error) {
	m := &haproxyMap{captures: [2][]slot{make([]slot, maxCaptures), make([]slot, maxCaptures)}}
	for _, name := range sortedKeys(cfg.Fields) {
		source := cfg.Fields[name]
		s, err := slotFor(name, cfg)
		if err != nil {
			return nil, fmt.Errorf("fields: %w", err)
		}
		place := -1
		for i, part := range haParts {
			if part == source {
				m.parts[i], place = s, i
			}
		}
		side, number, ok := strings.Cut(source, ".")
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 1 && n <= maxCaptures && (side == "request" || side == "response") {
			direction := 0
			if side == "response" {
				direction = 1
			}
			m.captures[direction][n-1], place = s, n
			if s.kind == slotForwarded {
				return nil, errCapturedChain
			}
		}
		if place < 0 {
			return nil, fmt.Errorf("fields: %s: %s is no part of a haproxy line; there are request.1 to request.%d, response.1 to response.%d, %s",
				name, source, maxCaptures, maxCaptures, strings.Join(haParts[:], ", "))
		}
	}
	return m, nil
}

// haproxyStart finds the client and the accept date, the first of that shape:
// nothing that a client writes stands before it.
func (f *fields) haproxyStart(ev *event.Event) {
	const size = len("30/Jul/2026:09:03:52.726")
	s := f.rest
	for i := 0; ; {
		j := bytes.IndexByte(s[i:min(len(s), maxSyslog)], '[')
		if j < 0 {
			f.fail(errNotHTTP)
			return
		}
		i += j + 1
		if i < 2 || i+size+2 > len(s) || s[i-2] != ' ' || s[i+size] != ']' || s[i+size+1] != ' ' || s[i+2] != '/' {
			continue
		}
		ns := f.time(LayoutCLF, s[i:i+size])
		client := s[bytes.LastIndexByte(s[:i-2], ' ')+1 : i-2]
		ev.Time, ev.Peer = ns, f.addrPort(client)
		if f.err == nil {
			f.rest = s[i+size+2:]
		}
		return
	}
}

// maxSyslog is how far into a line HAProxy's own part may begin.
const maxSyslog = 512

// haproxyTimers reads TR/Tw/Tc/Tr/Ta, of which the last is the whole, in
// milliseconds. A TCP line has three timers.
func (f *fields) haproxyTimers() int64 {
	t := f.token()
	if bytes.Count(t, []byte("/")) != 4 {
		f.fail(errNotHTTP)
		return -1
	}
	last := bytes.TrimPrefix(t[bytes.LastIndexByte(t, '/')+1:], []byte("+"))
	if string(last) == "-1" {
		return -1
	}
	return f.duration(last, 6)
}

func (f *fields) haproxyStatus() int32 {
	t := f.token()
	if string(t) == "-1" {
		return 0
	}
	return int32(f.number(t, 999, 0))
}

// haproxyEnd reads what clients and servers can write into: cookies, captured
// headers, the request. HAProxy escapes quotes and braces in headers and
// quotes in the request, but nothing in cookies, so these are read from the
// right.
func (f *fields) haproxyEnd(m *haproxyMap, ev *event.Event) {
	s := f.rest
	if f.err != nil {
		return
	}
	open, end := bytes.IndexByte(s, '"'), len(s)
	switch {
	case open < 0:
		f.fail(errRequest)
		return
	case s[len(s)-1] == '"' && open < len(s)-1:
		end = len(s) - 1
		open = bytes.LastIndexByte(s[:end], '"')
	default: // httpslog goes on after the request; a long line may be cut in it
		if i := bytes.IndexByte(s[open+1:], '"'); i >= 0 {
			end = open + 1 + i
			ev.TLS = f.haproxyTLS(s[end+1:])
		}
	}
	f.request(s[open+1:end], hash, ev)

	head := bytes.TrimSuffix(s[:open], []byte(" "))
	var blocks [2][]byte
	n := 0
	for n < 2 && len(head) > 0 && head[len(head)-1] == '}' {
		i := bytes.LastIndexByte(head, '{')
		if i < 0 {
			break
		}
		blocks[n] = head[i+1 : len(head)-1]
		head = bytes.TrimSuffix(head[:i], []byte(" "))
		n++
	}
	if n == 2 {
		blocks[0], blocks[1] = blocks[1], blocks[0]
	}
	for i := range n {
		f.captured(m.captures[i], blocks[i], ev)
	}
	// cookie cookie termination connections queues
	head, _ = cutLast(head)
	head, _ = cutLast(head)
	head, termination := cutLast(head)
	request, response := cutLast(head)
	f.assignNonEmpty(m.parts[haTermination], termination, ev)
	f.assignNonEmpty(m.parts[haResponseCookie], response, ev)
	f.assignNonEmpty(m.parts[haRequestCookie], request, ev)
	f.rest = nil
}

// cutLast cuts the last token off.
func cutLast(b []byte) (before, last []byte) {
	i := bytes.LastIndexByte(b, ' ')
	return b[:max(i, 0)], b[i+1:]
}

// captured assigns the headers of one {a|b|c}.
func (f *fields) captured(to []slot, b []byte, ev *event.Event) {
	for i := 0; i < len(to) && len(b) > 0; i++ {
		var one []byte
		one, b, _ = bytes.Cut(b, []byte("|"))
		if to[i].kind != slotSkip && len(one) > 0 {
			f.assign(to[i], one, hash, ev)
		}
	}
}

// haproxyTLS reads the version from sni/TLSv1.3/CIPHER at the end of an
// HTTPS line; clients choose the first part.
func (f *fields) haproxyTLS(b []byte) string {
	if i := bytes.LastIndexByte(b, '/'); i >= 0 {
		b = b[:i]
		b = b[bytes.LastIndexByte(b, '/')+1:]
		if bytes.HasPrefix(b, []byte("TLSv")) || bytes.HasPrefix(b, []byte("SSLv")) {
			return f.value(b, plain)
		}
	}
	return ""
}

// assignNonEmpty assigns a part that is mapped and that says something.
func (f *fields) assignNonEmpty(s slot, b []byte, ev *event.Event) {
	if s.kind != slotSkip && len(b) > 0 && !isDash(b) && f.err == nil {
		f.assign(s, b, plain, ev)
	}
}
