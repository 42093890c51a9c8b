package ingest

import (
	"bytes"
	"math"
	"net/netip"

	"weir/event"
)

// jsonRead is what a line says that is not a field by itself.
type jsonRead struct {
	ip, peer            netip.Addr
	timed               bool
	uri, request        []byte
	lastPath, lastQuery []byte
	wrapped             []byte
}

// take gives a value to all that its key fills. raw is the text of a string
// without its quotes, or a number, true or false.
func (s *jsonScan) take(n *jsonNode, raw []byte, escaped bool) {
	for i := range n.binds {
		bind := &n.binds[i]
		if best := s.best[bind.slot]; best != 0 && best <= bind.rank {
			continue
		}
		if escaped {
			out := jsonUnescape(s.out.mem.Grow(len(raw)), raw)
			s.out.mem.Keep(out)
			raw, escaped = out, false
		}
		if len(raw) == 0 || isDash(raw) {
			return // holds no value: the next key that does wins
		}
		s.best[bind.slot] = bind.rank + 1
		s.set(bind, raw)
	}
}

// wrap keeps an object that is the line in an envelope.
func (s *jsonScan) wrap(n *jsonNode, raw []byte) {
	for i := range n.binds {
		if n.binds[i].slot == jsonWrapped {
			s.read.wrapped = raw
		}
	}
}

// set fills a slot. A number that cannot be read leaves its field absent and
// the line alive: who could choose it could otherwise hide a request.
func (s *jsonScan) set(bind *jsonBind, v []byte) {
	ev := s.ev
	switch bind.slot {
	case jsonSlot(event.FieldTime):
		ev.Time, s.read.timed = ParseTime(s.layout, v)
	case jsonSlot(event.FieldIP):
		s.read.ip = addrMaybePort(v)
	case jsonPeer:
		s.read.peer = addrMaybePort(v)
	case jsonForwarded:
		ev.Forwarded = clipForwarded(event.View(v))
	case jsonURI:
		s.read.uri = v
	case jsonRequest:
		s.read.request = v
	case jsonLastPath:
		s.read.lastPath = v
	case jsonLastQuery:
		s.read.lastQuery = v
	case jsonWrapped:
		s.read.wrapped = v
	case jsonSlot(event.FieldStatus):
		ev.Status = 0
		if n, ok := parseInt(v); ok && n <= 999 {
			ev.Status = int32(n)
		}
	case jsonSlot(event.FieldBytes):
		ev.Bytes = -1
		if n, ok := parseInt(v); ok {
			ev.Bytes = n
		}
	case jsonSlot(event.FieldDuration):
		ev.Duration = decimal(v, int(bind.scale))
	case jsonSlot(event.FieldASN):
		ev.ASN = 0
		if n, ok := parseInt(bytes.TrimPrefix(v, []byte("AS"))); ok && n <= math.MaxUint32 {
			ev.ASN = uint32(n)
		}
	case jsonSlot(event.FieldOutcome):
		ev.Outcome, _ = event.OutcomeByName(event.View(v)) // unknown: none
	case jsonSlot(event.FieldRefused):
		ev.Refused = refusal(v)
	case jsonSlot(event.FieldSite):
		ev.Site = s.out.host(v)
	default:
		ev.SetText(event.Field(bind.slot), clip(event.View(v), s.out.mem, s.out.key))
	}
}

// finish makes the event whole, or says what it lacks.
func (s *jsonScan) finish() error {
	r, ev := &s.read, s.ev
	if !r.timed {
		return errTime
	}
	if ev.Peer = r.ip; !ev.Peer.IsValid() {
		if s.best[event.FieldIP] != 0 || !r.peer.IsValid() {
			return errAddress
		}
		ev.Peer = r.peer
	}
	s.target()
	return nil
}

// target fills what a request line and a URI say where no key of its own says
// it: the URI before the request line, and before what the server made of it.
func (s *jsonScan) target() {
	r, ev := &s.read, s.ev
	if r.request == nil && r.uri == nil && r.lastPath == nil && r.lastQuery == nil {
		return
	}
	method, query, protocol := ev.Method, ev.Query, ev.Protocol
	if r.request != nil && (r.uri == nil || method == "" || protocol == "") {
		ev.Path, ev.Query = "", ""
		s.out.request(r.request, plain, ev)
	}
	if r.uri != nil {
		ev.Path, ev.Query = "", ""
		s.out.uri(r.uri, ev)
	}
	if ev.Path == "" {
		ev.Path = clip(event.View(r.lastPath), s.out.mem, s.out.key)
	}
	if ev.Query == "" && r.uri == nil && r.request == nil {
		ev.Query = clip(event.View(r.lastQuery), s.out.mem, s.out.key)
	}
	if method != "" {
		ev.Method = method
	}
	if query != "" {
		ev.Query = query
	}
	if protocol != "" {
		ev.Protocol = protocol
	}
}

// addrMaybePort reads an address, with or without a port behind it.
func addrMaybePort(b []byte) netip.Addr {
	if a, ok := parseAddr(b); ok {
		return a
	}
	if i := bytes.LastIndexByte(b, ':'); i > 0 {
		if host := b[:i]; bytes.IndexByte(host, ':') < 0 || host[0] == '[' {
			if a, ok := parseAddr(host); ok {
				return a
			}
		}
	}
	return netip.Addr{}
}

// refusals are the words by which servers and edges say that they refused a
// request, and the action that each is. A challenge that was passed is none.
var refusals = map[string]event.Action{
	"block": event.Block, "blocked": event.Block, "deny": event.Block, "denied": event.Block, "drop": event.Block,
	"connectionClose": event.Block, "connection_close": event.Block,
	"limit": event.Limit, "limited": event.Limit, "ratelimit": event.Limit, "rate_limit": event.Limit,
	"challenge": event.Challenge, "managed_challenge": event.Challenge, "managedChallenge": event.Challenge,
	"jschallenge": event.Challenge, "js_challenge": event.Challenge,
	"challengeFailed": event.Challenge, "jschallengeFailed": event.Challenge,
	"deceive": event.Deceive,
}

// refusal returns what a word says, or of several joined by commas the first
// that says something.
func refusal(v []byte) event.Action {
	for len(v) > 0 {
		word, rest, _ := bytes.Cut(v, []byte{','})
		if a := refusals[string(word)]; a != event.NoAction {
			return a
		}
		v = rest
	}
	return event.NoAction
}

// maxExponent bounds the exponent of a number.
const maxExponent = 99

// decimal reads a decimal number that is not negative, times ten to the power
// of scale, cut to a whole number, or returns -1.
func decimal(v []byte, scale int) int64 {
	whole, rest, ok := leadingDigits(v)
	frac := rest[:0]
	if ok && len(rest) > 0 && rest[0] == '.' {
		frac, rest, ok = leadingDigits(rest[1:])
	}
	if !ok {
		return -1
	}
	if len(rest) > 0 {
		e, ok := exponent(rest)
		if !ok {
			return -1
		}
		scale += e
	}
	var n int64
	for _, part := range [2][]byte{whole, frac} {
		for _, c := range part {
			if n < 1e17 {
				n = n*10 + int64(c-'0')
				scale--
			}
		}
	}
	scale += len(whole)
	for ; scale > 0 && n > 0; scale-- {
		if n > math.MaxInt64/10 {
			return -1
		}
		n *= 10
	}
	for ; scale < 0 && n > 0; scale++ {
		n /= 10
	}
	return n
}

// leadingDigits splits v behind its digits; there must be some.
func leadingDigits(v []byte) (digits, rest []byte, ok bool) {
	i := 0
	for i < len(v) && isDigit(v[i]) {
		i++
	}
	return v[:i], v[i:], i > 0
}

// exponent reads e-05 or E5, to maxExponent.
func exponent(v []byte) (e int, ok bool) {
	if v[0]|0x20 != 'e' {
		return 0, false
	}
	v = v[1:]
	sign := 1
	if len(v) > 0 && (v[0] == '+' || v[0] == '-') {
		if v[0] == '-' {
			sign = -1
		}
		v = v[1:]
	}
	n, ok := parseInt(v)
	return sign * int(n), ok && n <= maxExponent
}
