package enrich

import (
	"strings"
	"testing"

	"weir/event"
)

func TestAgentsAreRecognised(t *testing.T) {
	w := newWorker(t, Config{})
	for _, c := range []struct{ agent, want string }{
		{"", "||"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome|Windows|browser"},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "Firefox|Linux|browser"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1", "Safari|iOS|browser"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0", "Edge|Windows|browser"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36", "Headless Chrome|Linux|tool"},
		{"curl/8.4.0", "curl||tool"}, {"Wget/1.21", "Wget||tool"}, {"Scrapy/2.11 (+https://scrapy.org)", "Scrapy||tool"},
		{"sqlmap/1.7#stable (https://sqlmap.org)", "sqlmap||tool"}, {"WPScan v3.8", "WPScan||tool"},
		{"python-requests/2.31.0", "Python requests||library"}, {"Go-http-client/1.1", "Go||library"}, {"okhttp/4.12.0", "OkHttp||library"},
		{"Shop/7.1.2 (Android 13; SM-A546B) okhttp/4.12.0", "Shop|Android|app"}, {"feeder 1.0 (linux) okhttp/4.12.0", "OkHttp|Linux|library"},
		{"Mozilla/5.0 (Linux; Android 10) Chrome/99 python-requests/2.31", "Python requests|Android|library"}, {"Scraper/1.0 (compatible; bot; Android) okhttp/4", "OkHttp|Android|library"},
		{" okhttp/4.12.0 (Android 13)", "OkHttp|Android|library"},
		{"Java/17.0.1", "Java||library"}, {"libwww-perl/6.67", "libwww-perl||library"}, {"axios/1.6.2", "axios||library"},
		{"Apache-HttpClient/4.5.13 (Java/11.0.1)", "Apache HttpClient||library"}, {"WordPress/4.4.2; http://blog.example", "WordPress||library"},
		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot||crawler-claim"},
		{"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "AhrefsBot||crawler-claim"},
		{"Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "UptimeRobot||monitor"},
		{"jetmon/1.0 (Jetpack Site Uptime Monitor by WordPress.com)", "jetmon||monitor"}, {"kube-probe/1.28", "kube-probe||monitor"},
		{"Shop/3.2 CFNetwork/1410 Darwin/22.6.0", "Shop||app"},
		{"Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7)", "Dalvik|Android|app"},
		{"something else entirely", "something else entirely||"}, {"\x00\xff<script>", "||"},
	} {
		for range 2 { // the second comes from the cache
			e := enrichOne(w, func(e *event.Event) { e.Agent = c.agent })
			if got := e.AgentFamily + "|" + e.AgentOS + "|" + e.AgentKind; got != c.want {
				t.Errorf("%s: %s, want %s", c.agent, got, c.want)
			}
		}
	}
}

func TestFamiliesOfAgentsAreBounded(t *testing.T) {
	w := newWorker(t, Config{})
	e := enrichOne(w, func(e *event.Event) { e.Agent = strings.Repeat("x", 2048) })
	if len(e.AgentFamily) > maxFamily {
		t.Errorf("family of %d bytes", len(e.AgentFamily))
	}
}

func TestFingerprintIsTheBestThereIs(t *testing.T) {
	w := newWorker(t, Config{})
	print := func(set func(e *event.Event)) event.Event { return enrichOne(w, set) }
	if e := print(func(e *event.Event) { e.JA4, e.JA3, e.Agent = "t13d", "abcd", "curl/8" }); e.Fingerprint != "t13d" || e.SoftFingerprint {
		t.Errorf("%q", e.Fingerprint)
	}
	if e := print(func(e *event.Event) { e.JA3, e.Agent = "abcd", "curl/8" }); e.Fingerprint != "abcd" || e.SoftFingerprint {
		t.Errorf("%q", e.Fingerprint)
	}
	if e := print(func(e *event.Event) { e.Protocol = "HTTP/1.1" }); e.Fingerprint != "" || e.SoftFingerprint {
		t.Errorf("%q", e.Fingerprint)
	}
	seen := map[string]bool{}
	for _, fields := range [][4]string{{"a", "", "", ""}, {"", "a", "", ""}, {"a", "b", "", ""}, {"ab", "", "", ""}, {"a", "", "b", ""}, {"a", "", "", "b"}, {"b", "", "", ""}} {
		e := print(func(e *event.Event) {
			e.Agent, e.Language, e.Protocol, e.TLS = fields[0], fields[1], fields[2], fields[3]
		})
		if !e.SoftFingerprint || !strings.HasPrefix(e.Fingerprint, "soft:") || len(e.Fingerprint) != 21 || seen[e.Fingerprint] {
			t.Errorf("%q: %q", fields, e.Fingerprint)
		}
		seen[e.Fingerprint] = true
	}
}
