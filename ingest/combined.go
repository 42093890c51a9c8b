package ingest

import (
	"bytes"

	"weir/event"
)

// newCombined reads the "combined" and "common" formats of Apache and nginx:
//
//	192.0.2.7 - ann [02/Jan/2026:15:04:05 +0000] "GET /a?b HTTP/1.1" 200 512 "https://shop.example/" "Mozilla/5.0"
//
// The first quoted field after these may be X-Forwarded-For, as in nginx's
// packaged configuration. The line begins with the address, for a line whose
// beginning the client can write cannot be told from another.
func newCombined(cfg Config) (Decoder, error) {
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		ev.Peer = f.addr()
		f.clf(ev)
		return f.done()
	}, nil
}

// newVhostCombined reads combined lines with host:port or host in front of the
// address (Apache's vhost_combined).
func newVhostCombined(cfg Config) (Decoder, error) {
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		ev.Site = f.host(f.token())
		ev.Peer = f.addr()
		f.clf(ev)
		return f.done()
	}, nil
}

// clf reads what follows the address.
func (f *fields) clf(ev *event.Event) {
	f.skip(1) // identd, always "-"
	ev.Credential, ev.Time = f.userTime()
	req, esc := f.raw()
	f.request(req, esc, ev)
	ev.Status, ev.Bytes = f.status(), f.bytes()
	if len(f.rest) == 0 {
		return // common
	}
	ev.Referer, ev.Agent = f.quoted(), f.quoted()
	if len(f.rest) > 0 {
		f.extras(ev)
	}
}

// clfTime is how long 02/Jan/2006:15:04:05 -0700 is.
const clfTime = 26

// userTime reads the user and the time in brackets. A user may hold spaces and
// brackets, even a time, but no bare quote, so that the first time with a
// quote behind it is the line's.
func (f *fields) userTime() (user string, ns int64) {
	s := f.rest
	for i := 0; ; {
		j := bytes.IndexByte(s[i:], '[')
		if j < 0 || i+j+clfTime+3 >= len(s) {
			f.fail(errTime)
			return "", 0
		}
		i += j + 1
		end := i + clfTime
		if i < 3 || s[i-2] != ' ' || s[end] != ']' || s[end+1] != ' ' || s[end+2] != '"' {
			continue
		}
		name := s[:i-2]
		ns = f.time(LayoutCLF, s[i:end])
		if f.err == nil {
			f.rest = s[end+2:]
		}
		if string(name) == `""` {
			return "", ns // Apache's empty user
		}
		return f.value(name, backslash), ns
	}
}

// maxExtras bounds how many fields behind the agent are looked at.
const maxExtras = 16

// extras reads what servers append to a combined line. It knows an address
// chain if that comes first and quoted, and a time taken that shows its unit;
// nothing here makes a line unreadable.
func (f *fields) extras(ev *event.Event) {
	g := *f
	for n := 0; n < maxExtras && len(g.rest) > 0; n++ {
		if g.rest[0] != '"' {
			if ev.Duration < 0 {
				ev.Duration = timeTaken(g.token())
			} else {
				g.token()
			}
			continue
		}
		b, esc := g.raw()
		if n == 0 && g.err == nil {
			if b = g.decode(b, esc); endsInAddress(b) {
				ev.Forwarded = g.forwarded(b, plain)
			}
		}
	}
	f.rest = nil
}

// timeTaken reads 0.123 as the seconds and 45ms as the milliseconds that they
// are; a bare whole number could be either, or a size. It returns
// microseconds, or -1.
func timeTaken(b []byte) int64 {
	if n := len(b); n > 2 && string(b[n-2:]) == "ms" {
		if ms, ok := parseInt(b[:n-2]); ok && ms < 1e9 {
			return ms * 1000
		}
		return -1
	}
	if i := bytes.IndexByte(b, '='); i > 0 {
		b = b[i+1:] // rt=0.123
	}
	if n := len(b); n >= 5 && b[n-4] == '.' {
		return seconds(b)
	}
	return -1
}

// seconds reads decimal seconds as microseconds, or returns -1.
func seconds(b []byte) int64 {
	ns, ok := parseUnix(b, 9)
	if !ok {
		return -1
	}
	return ns / 1000
}
