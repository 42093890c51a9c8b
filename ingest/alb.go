package ingest

import (
	"bytes"

	"weir/event"
)

// newALB reads the access log of AWS application load balancers:
//
//	https 2026-07-02T22:23:00.186641Z app/lb/50dc 192.0.2.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://shop.example:443/ HTTP/1.1" "curl/7.46.0" ECDHE TLSv1.2 arn "Root=1-58" …
func newALB(cfg Config) (Decoder, error) {
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		f.skip(1) // http, https, h2, grpcs, ws, wss
		ev.Time = f.time(LayoutRFC3339, f.token())
		f.skip(1) // the balancer
		ev.Peer = f.addrPort(f.token())
		f.skip(1) // the target
		ev.Duration = f.albTimes()
		ev.Status = f.status()
		f.skip(2) // the target's status; bytes received
		ev.Bytes = f.bytes()
		req, esc := f.raw()
		f.request(albRequest(req), esc, ev)
		ev.Agent = f.quoted()
		f.skip(1) // cipher
		ev.TLS = f.text()
		f.skip(1) // target group
		ev.ID = f.quoted()
		return f.done()
	}, nil
}

// albTimes adds up what it took to pass the request on, to answer it and to
// pass the answer back; -1 is a part that never came.
func (f *fields) albTimes() int64 {
	sum := int64(-1)
	for range 3 {
		t := f.token()
		if string(t) == "-1" || isDash(t) {
			continue
		}
		sum = max(sum, 0) + max(f.duration(t, 9), 0)
	}
	return sum
}

// albRequest returns the request, or what stands for none: "- http://host:80- ".
func albRequest(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("- ")) {
		return b[:1]
	}
	return b
}
