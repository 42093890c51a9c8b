package emit

import (
	"fmt"
	"net/url"
	"strings"

	"weir/event"
)

// Setup returns the lines for nginx.conf and for weir.yaml, each part with where
// it belongs.
func (n *nginxPoint) Setup() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# -- main context --
# Each new list is a reload; old workers shall not pile up.
worker_shutdown_timeout 1m;

# -- http { } --
# The list. The file must be there before nginx is reloaded: weir check makes it.
include %s;
# The client's address, where nginx stands behind proxies of yours, and for their
# addresses only:
#   set_real_ip_from 192.0.2.0/24;
#   real_ip_header X-Forwarded-For;
#   real_ip_recursive on;
# A log that says what was refused, so that weir does not take it for evidence.
log_format weir escape=json '{"msec":"$msec","remote_addr":"$remote_addr","request":"$request","status":"$status",'
    '"body_bytes_sent":"$body_bytes_sent","request_time":"$request_time","host":"$host","http_referer":"$http_referer",'
    '"http_user_agent":"$http_user_agent","refused":"$weir_refused"}';
# Or the combined format with one more field:
log_format weir_combined '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$weir_refused"';
`, n.cfg.Conf)
	for _, a := range n.lists.actions {
		if a == event.Limit {
			b.WriteString(`# Those who are limited; the rate is yours to choose.
map $weir_action $weir_limited { limit $binary_remote_addr; default ""; }
limit_req_zone $weir_limited zone=weir:10m rate=10r/m;
`)
		}
	}
	b.WriteString(`
# -- server { }, each that weir is to protect --
access_log /var/log/nginx/weir.log weir;
`)
	for _, a := range n.lists.actions {
		switch a {
		case event.Block:
			b.WriteString("if ($weir_block) { return 403; }\n")
		case event.Limit:
			b.WriteString("limit_req zone=weir burst=5 nodelay;\nlimit_req_status 429;\n")
		default:
			fmt.Fprintf(&b, "# Where $weir_action is %[1]s, act as you see fit; the log says so whether you do or not.\n", a)
		}
	}
	if n.probe != nil {
		path := "/"
		if u, err := url.Parse(n.cfg.Probe); err == nil && u.Path != "" {
			path = u.EscapedPath()
		}
		fmt.Fprintf(&b, `
# -- server { }, the one of %s --
# By this weir sees that nginx runs with the list that it wrote. For this machine only.
location = %s {
    if ($remote_addr !~ "^(?:127[.]|::1$)") { return 404; }
    access_log off;
    default_type text/plain;
    return 200 "$weir_generation\n";
}
`, n.cfg.Probe, path)
	}
	b.WriteString(`
# -- weir.yaml, the source that reads this log --
#   format: nginx-json
# or, of the combined one:
#   format: pattern
#   pattern: '<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>" "<refused>"'
`)
	return b.String()
}
