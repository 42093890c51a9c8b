package simulate

import (
	"strconv"
	"time"

	"weir/event"
)

// format is how lines are written, and what they hold.
type format struct {
	combined                      bool
	ja4, credentials, sessionsToo bool
	stampSecond                   int64 // the second that stamp is of
	stamp                         []byte
}

func formatOf(o *Options) format {
	return format{
		combined: o.Format == "combined" || o.Variant == "combined",
		ja4:      o.Variant != "without-ja4", credentials: o.Variant != "without-credentials", sessionsToo: o.Variant != "without-sessions",
		stampSecond: -1 << 62,
	}
}

// append appends the line of a request.
func (f *format) append(b []byte, s *Stream, r *request, at int64, refused event.Action) []byte {
	if f.combined {
		return f.appendCombined(b, s, r, at)
	}
	return f.appendJSON(b, s, r, at, refused)
}

// appendJSON writes what nginx writes with a log_format of escape=json. Nothing
// in it needs escaping: no actor sends a quote or a backslash.
func (f *format) appendJSON(b []byte, s *Stream, r *request, at int64, refused event.Action) []byte {
	t := s.start + at
	b = append(b, `{"msec":"`...)
	b = strconv.AppendInt(b, t/1e9, 10)
	b = append(b, '.')
	b = appendThree(b, t/1e6%1000)
	b = append(b, `","remote_addr":"`...)
	b = f.appendPeer(b, s, r)
	if s.scenario.Site.Proxied || r.forged {
		b = append(b, `","http_x_forwarded_for":"`...)
		b = f.appendForwarded(b, s, r)
	}
	b = append(b, `","request_method":"`...)
	b = append(b, r.endpoint.parts.method...)
	b = append(b, `","host":"`...)
	b = append(b, s.scenario.Site.Host...)
	b = append(b, `","request_uri":"`...)
	b = r.endpoint.appendURI(b, r.item)
	b = append(b, `","server_protocol":"`...)
	b = append(b, r.client.protocol...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, `,"body_bytes_sent":`...)
	b = strconv.AppendInt(b, r.bytes, 10)
	b = append(b, `,"request_time":`...)
	b = strconv.AppendInt(b, r.took/1e9, 10)
	b = append(b, '.')
	b = appendThree(b, r.took/1e6%1000)
	b = append(b, `,"http_referer":"`...)
	b = f.appendReferer(b, s, r)
	b = append(b, `","http_user_agent":"`...)
	b = append(b, r.client.agent...)
	b = append(b, `","http_accept_language":"`...)
	b = append(b, r.language...)
	b = append(b, `","ssl_protocol":"`...)
	b = append(b, r.client.tls...)
	if f.ja4 {
		b = append(b, `","ssl_ja4":"`...)
		b = append(b, r.client.ja4...)
	}
	if f.credentials {
		b = append(b, `","username":"`...)
		if r.accountSet {
			b = appendAccount(b, r.account)
		}
	}
	if f.sessionsToo {
		b = append(b, `","session_id":"`...)
		if r.session != 0 {
			b = strconv.AppendUint(b, r.session|1<<63, 16)
		}
	}
	b = append(b, `","api_key":"`...)
	b = append(b, r.consumer...)
	b = append(b, `","refused":"`...)
	b = append(b, refused.String()...)
	return append(b, `"}`...)
}

// appendCombined writes what Apache and nginx write when nobody asks for more.
func (f *format) appendCombined(b []byte, s *Stream, r *request, at int64) []byte {
	b = f.appendPeer(b, s, r)
	b = append(b, " - - ["...)
	b = f.appendStamp(b, s.start+at)
	b = append(b, `] "`...)
	b = append(b, r.endpoint.parts.method...)
	b = append(b, ' ')
	b = r.endpoint.appendURI(b, r.item)
	b = append(b, ' ')
	b = append(b, r.client.protocol...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.bytes, 10)
	b = append(b, ` "`...)
	before := len(b)
	if b = f.appendReferer(b, s, r); len(b) == before {
		b = append(b, '-')
	}
	b = append(b, `" "`...)
	b = append(b, r.client.agent...)
	return append(b, '"')
}

// appendPeer appends who connected.
func (f *format) appendPeer(b []byte, s *Stream, r *request) []byte {
	if s.scenario.Site.Proxied && !f.combined {
		return proxyAddress.AppendTo(b)
	}
	return r.addr.AppendTo(b)
}

// appendForwarded appends X-Forwarded-For: what a client claims, and behind it
// who really connected to the proxy.
func (f *format) appendForwarded(b []byte, s *Stream, r *request) []byte {
	if r.forged {
		b = victimAddress.AppendTo(b)
		if s.scenario.Site.Proxied {
			b = append(b, ", "...)
		}
	}
	if s.scenario.Site.Proxied {
		b = r.addr.AppendTo(b)
	}
	return b
}

func (f *format) appendReferer(b []byte, s *Stream, r *request) []byte {
	if r.referer == nil {
		return append(b, r.from...)
	}
	b = append(b, "https://"...)
	b = append(b, s.scenario.Site.Host...)
	return r.referer.appendURI(b, r.refererTo)
}

func (f *format) appendStamp(b []byte, ns int64) []byte {
	if sec := ns / 1e9; sec != f.stampSecond {
		f.stampSecond = sec
		f.stamp = time.Unix(sec, 0).UTC().AppendFormat(f.stamp[:0], "02/Jan/2006:15:04:05 -0700")
	}
	return append(b, f.stamp...)
}

func appendThree(b []byte, n int64) []byte {
	return append(b, byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}
