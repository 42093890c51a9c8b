package emit

import (
	"fmt"
	"slices"
	"strings"

	"weir/event"
)

// lines returns what belongs into a frontend of HAProxy, in order.
func (ms *haproxyMaps) lines() (ls []string) {
	ls = append(ls, "http-request set-var(txn.weir_now) date()")
	if ms.paths.entries > 0 {
		ls = append(ls,
			// As weir compares paths. Dots are taken out twice: a path with more of
			// them may miss an entry for an endpoint, not one for the whole site.
			"http-request set-var(txn.weir_path) path,url_dec,regsub(;[^/]*/,/,g),regsub(;.*,),regsub(/+,/,g)",
			"http-request set-var(txn.weir_path) var(txn.weir_path),regsub(/[.]/,/,g),regsub(/[.]/,/,g),regsub(/[^/]+/[.][.]/,/,g),regsub(/[^/]+/[.][.]/,/,g)",
			"http-request set-var(txn.weir_host) hdr(host),lower,regsub([^a-z0-9.-].*,)",
			"http-request set-var(txn.weir_request) method,concat(|,txn.weir_host,|),concat(,txn.weir_path)",
			"http-request set-var(txn.weir_endpoint) var(txn.weir_request),map_reg("+ms.paths.file+")",
			"http-request set-var(txn.weir_ip) src,ipmask(32,64)",
			"http-request set-var(txn.weir_net) src,ipmask(24,48)",
			"http-request set-var(txn.weir_key) var(txn.weir_endpoint),concat(@,txn.weir_ip)",
			"http-request set-var(txn.weir_netkey) var(txn.weir_endpoint),concat(@,txn.weir_net,/net)",
		)
	}
	// The strongest action comes last and so has the last word.
	for _, m := range slices.Backward(ms.all) {

		if !m.endpoints {
			ls = append(ls, m.lookup("src,map_ip")...)
			continue
		}
		ls = append(ls, m.lookup("var(txn.weir_key),map_str")...)
		ls = append(ls, m.lookup("var(txn.weir_netkey),map_str")...)
	}
	return ls
}

// lookup returns the lines that look a request up in a map and note its action,
// while the entry has not come to its end.
func (m *haproxyMap) lookup(by string) []string {
	return []string{
		fmt.Sprintf("http-request set-var(txn.weir_entry) %s(%s)", by, m.file),
		fmt.Sprintf("http-request set-var(txn.weir_action) str(%s) if { var(txn.weir_entry),word(1,:),sub(txn.weir_now) gt 0 }", m.action),
		"http-request unset-var(txn.weir_entry)",
	}
}

// lineOf returns the line that loads a map.
func (ms *haproxyMaps) lineOf(file string) string {
	for _, l := range ms.lines() {
		if strings.Contains(l, "("+file+")") {
			return l
		}
	}
	return ""
}

// Setup returns the lines for haproxy.cfg and for weir.yaml, each part with
// where it belongs.
func (h *haproxyPoint) Setup() string {
	var b strings.Builder
	if len(h.sockets) > 0 {
		b.WriteString("# -- global --\n# The socket by which weir changes the maps of the running process. The user that\n" +
			"# weir runs as must be in its group (usermod -a -G haproxy weir), or be root.\n")
		if len(h.sockets) > 1 {
			b.WriteString("# Each process has its own one of these.\n")
		}
		for _, s := range h.sockets {
			fmt.Fprintf(&b, "    stats socket %s mode 660 group haproxy level admin\n", s.address)
		}
		b.WriteString("\n")
	}
	b.WriteString(`# -- frontend, each that weir is to protect, in front of its other rules --
# The source must be the client. Behind a proxy of yours, and for its address only:
#   http-request set-src hdr_ip(x-forwarded-for,-1) if { src 192.0.2.1 }
# The map files must be there before haproxy is started: weir check makes them.
    option httplog
    http-request capture hdr(host) len 64         # request.1
    http-request capture hdr(user-agent) len 256  # request.2
# What weir decided about this address. An entry is over by haproxy's own clock.
`)
	for _, l := range h.maps.lines() {
		b.WriteString("    " + l + "\n")
	}
	b.WriteString("# Do it, and have the log say so: weir does not take for evidence what was refused.\n")
	for _, a := range h.caps.Actions {
		if a != event.Block {
			fmt.Fprintf(&b, "#   for %[1]s: your own rules if { var(txn.weir_action) -m str %[1]s }, and where they refuse\n"+
				"#   http-request set-var(txn.weir_refused) str(%[1]s)\n", a)
		}
	}
	b.WriteString(`    http-request set-var(txn.weir_refused) str(block) if { var(txn.weir_action) -m str block }
    http-request capture var(txn.weir_refused) len 9  # request.3
    http-request deny deny_status 403 if { var(txn.weir_refused) -m str block }

# -- weir.yaml, the source that reads this log --
# request.N are the captures in their order: count those that the frontend has
# besides. haproxy must run in UTC (TZ=UTC).
#   format: haproxy
#   fields: {site: request.1, agent: request.2, refused: request.3}
`)
	return b.String()
}
