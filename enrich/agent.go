package enrich

import (
	"strings"

	"github.com/mileusna/useragent"

	"weir/event"
)

// The kinds of clients, as they call themselves: whoever wants to look like a
// browser does. An agent that is none of these, or empty, has no kind.
const (
	agentBrowser = "browser"
	agentApp     = "app"           // of a phone or television
	agentLibrary = "library"       // an HTTP client of a programming language
	agentTool    = "tool"          // a program for one's own requests: curl, scanners, automated browsers
	agentCrawler = "crawler-claim" // says it is a crawler; event.Crawler is what is proven
	agentMonitor = "monitor"       // watches whether a site is up
)

// client is what an agent says about itself.
type client struct{ family, os, kind string }

// The cache of agents, and how much of an agent is looked at.
const (
	agentSlots = 16384
	maxAgent   = 400 // longer ones are read anew each time, and only so far
)

// knownAgents are the clients that are not browsers, by what their agent has
// in it, in lower case; the first that fits counts.
var knownAgents = []struct{ mark, family, kind string }{
	{"headlesschrome", "Headless Chrome", agentTool},
	{"phantomjs", "PhantomJS", agentTool},
	{"electron/", "Electron", agentApp},
	{"selenium", "Selenium", agentTool},
	{"puppeteer", "Puppeteer", agentTool},
	{"playwright", "Playwright", agentTool},
	{"cypress/", "Cypress", agentTool},
	{"sqlmap", "sqlmap", agentTool},
	{"nikto", "Nikto", agentTool},
	{"nmap", "Nmap", agentTool},
	{"masscan", "masscan", agentTool},
	{"zgrab", "zgrab", agentTool},
	{"nuclei", "Nuclei", agentTool},
	{"wpscan", "WPScan", agentTool},
	{"gobuster", "gobuster", agentTool},
	{"feroxbuster", "feroxbuster", agentTool},
	{"dirbuster", "DirBuster", agentTool},
	{"fuzz faster", "ffuf", agentTool},
	{"hydra", "Hydra", agentTool},
	{"openbullet", "OpenBullet", agentTool},
	{"apachebench", "ApacheBench", agentTool},
	{"jmeter", "JMeter", agentTool},
	{"k6/", "k6", agentTool},
	{"scrapy", "Scrapy", agentTool},
	{"httrack", "HTTrack", agentTool},
	{"postmanruntime", "Postman", agentTool},
	{"insomnia/", "Insomnia", agentTool},
	{"httpie", "HTTPie", agentTool},
	{"powershell", "PowerShell", agentTool},

	{"uptimerobot", "UptimeRobot", agentMonitor},
	{"pingdom", "Pingdom", agentMonitor},
	{"statuscake", "StatusCake", agentMonitor},
	{"site24x7", "Site24x7", agentMonitor},
	{"jetmon", "jetmon", agentMonitor},
	{"newrelicpinger", "New Relic", agentMonitor},
	{"new relic", "New Relic", agentMonitor},
	{"datadog", "Datadog", agentMonitor},
	{"uptime-kuma", "Uptime Kuma", agentMonitor},
	{"betteruptime", "Better Uptime", agentMonitor},
	{"better stack", "Better Uptime", agentMonitor},
	{"freshping", "Freshping", agentMonitor},
	{"hetrixtools", "HetrixTools", agentMonitor},
	{"catchpoint", "Catchpoint", agentMonitor},
	{"gomezagent", "Gomez", agentMonitor},
	{"googlehc", "Google health check", agentMonitor},
	{"elb-healthchecker", "ELB health check", agentMonitor},
	{"amazon-route53-health", "Route 53 health check", agentMonitor},
	{"kube-probe", "kube-probe", agentMonitor},
	{"blackbox exporter", "Prometheus", agentMonitor},
	{"prometheus/", "Prometheus", agentMonitor},
	{"zabbix", "Zabbix", agentMonitor},
	{"check_http", "Nagios", agentMonitor},
	{"nagios", "Nagios", agentMonitor},
	{"monit/", "Monit", agentMonitor},

	{"python-requests", "Python requests", agentLibrary},
	{"python-urllib", "Python urllib", agentLibrary},
	{"python-httpx", "Python httpx", agentLibrary},
	{"aiohttp", "aiohttp", agentLibrary},
	{"go-http-client", "Go", agentLibrary},
	{"go 1.1 package http", "Go", agentLibrary},
	{"okhttp", "OkHttp", agentLibrary},
	{"apache-httpclient", "Apache HttpClient", agentLibrary},
	{"apache-httpasyncclient", "Apache HttpClient", agentLibrary},
	{"jakarta commons-httpclient", "Apache HttpClient", agentLibrary},
	{"libwww-perl", "libwww-perl", agentLibrary},
	{"lwp::", "libwww-perl", agentLibrary},
	{"lwp-", "libwww-perl", agentLibrary},
	{"guzzlehttp", "Guzzle", agentLibrary},
	{"axios/", "axios", agentLibrary},
	{"node-fetch", "node-fetch", agentLibrary},
	{"undici", "undici", agentLibrary},
	{"faraday", "Faraday", agentLibrary},
	{"rest-client/", "rest-client", agentLibrary},
	{"httpclient/", "HttpClient", agentLibrary},
	{"winhttp", "WinHTTP", agentLibrary},
	{"restsharp", "RestSharp", agentLibrary},
	{"reqwest", "reqwest", agentLibrary},
	{"hyper/", "hyper", agentLibrary},
	{"fasthttp", "fasthttp", agentLibrary},
	{"resty", "resty", agentLibrary},
	{"zend_http_client", "Zend HTTP", agentLibrary},
	{"mechanize", "Mechanize", agentTool},
	{"http-client", "HTTP client", agentLibrary},
	{"httpclient", "HTTP client", agentLibrary},
	{"http-java-client", "Google HTTP client", agentLibrary},
	{"synapse", "Synapse", agentLibrary},
	{"xml-rpc", "XML-RPC client", agentLibrary},
	{"libcurl", "libcurl", agentLibrary},
}

// leadingAgents are recognised only at the beginning, because others mention
// them or they are short words.
var leadingAgents = []struct{ mark, family, kind string }{
	{"curl/", "curl", agentTool},
	{"curl", "curl", agentTool},
	{"wget", "Wget", agentTool},
	{"aria2", "aria2", agentTool},
	{"java/", "Java", agentLibrary},
	{"java1", "Java", agentLibrary},
	{"ruby", "Ruby", agentLibrary},
	{"php/", "PHP", agentLibrary},
	{"perl", "Perl", agentLibrary},
	{"dart/", "Dart", agentLibrary},
	{"got ", "got", agentLibrary},
	{"node", "Node", agentLibrary},
	{"wordpress/", "WordPress", agentLibrary},
	{"dalvik/", "Dalvik", agentApp},
}

// crawlerMarks are in the agents of those who say that they are crawlers.
var crawlerMarks = []string{"bot", "crawl", "spider", "slurp", "fetcher", "facebookexternalhit", "mediapartners", "archiver", "feedfetch",
	"preview", "qwantify", "bingpreview", "ahrefs", "google-read-aloud", "feed", "rss", "scanner", "validator", "wappalyzer", "yahoo! "}

// parseAgent reads an agent. The family of one that names itself is its own
// word, so callers must intern it.
func parseAgent(agent string) client {
	agent = agent[:min(len(agent), maxAgent)]
	var buf [maxAgent]byte
	lower := string(lowerInto(buf[:0], agent))
	for _, k := range leadingAgents {
		if strings.HasPrefix(lower, k.mark) {
			return client{k.family, osOf(lower), k.kind}
		}
	}
	for _, k := range knownAgents {
		if at := strings.Index(lower, k.mark); at >= 0 {
			os := osOf(lower)
			if k.kind == agentLibrary && named(lower[:at]) && (os == useragent.Android || os == useragent.IOS) {
				// Shop/7.1 (Android 14; Pixel 8) okhttp/4.12.0: the library is what the app is built with.
				return client{familyName(useragent.Parse(agent).Name), os, agentApp}
			}
			return client{k.family, os, k.kind}
		}
	}
	ua := useragent.Parse(agent)
	c := client{family: familyName(ua.Name), os: ua.OS}
	switch {
	case ua.Bot || containsAny(lower, crawlerMarks):
		c.kind = agentCrawler
	case ua.Name == useragent.FacebookApp || ua.Name == useragent.InstagramApp || ua.Name == useragent.TiktokApp,
		strings.Contains(lower, "cfnetwork/"), strings.Contains(lower, "; wv)"):
		c.kind = agentApp
	case strings.HasPrefix(lower, "mozilla/") && (c.os != "" || browsers[c.family]), strings.HasPrefix(lower, "opera/"):
		c.kind = agentBrowser
	case c.os == useragent.IOS || c.os == useragent.Android:
		c.kind = agentApp
	}
	return c
}

// named reports whether what stands before a library's name in an agent is a
// program's own: a name with a version, and neither a browser's nor a crawler's.
func named(before string) bool {
	name, _, ok := strings.Cut(before, "/")
	return ok && name != "" && !strings.HasPrefix(name, " ") && name != "mozilla" && !containsAny(before, crawlerMarks)
}

func containsAny(s string, marks []string) bool {
	for _, m := range marks {
		if strings.Contains(s, m) {
			return true
		}
	}
	return false
}

// osOf names the system that an agent in lower case mentions.
func osOf(lower string) string {
	switch {
	case strings.Contains(lower, "android"):
		return useragent.Android
	case strings.Contains(lower, "iphone"), strings.Contains(lower, "ipad"):
		return useragent.IOS
	case strings.Contains(lower, "windows"):
		return useragent.Windows
	case strings.Contains(lower, "mac os"), strings.Contains(lower, "darwin"):
		return useragent.MacOS
	case strings.Contains(lower, "linux"):
		return useragent.Linux
	}
	return ""
}

// browsers are families that a browser has even if it names no system.
var browsers = map[string]bool{useragent.Chrome: true, useragent.Firefox: true, useragent.Safari: true, useragent.Edge: true,
	useragent.Opera: true, useragent.InternetExplorer: true}

// maxFamily is the longest family, in bytes.
const maxFamily = 32

// familyName returns the leading words of what an agent calls itself, in
// plain ASCII: it is the client's own text.
func familyName(name string) string {
	n := 0
	for n < len(name) && n < maxFamily {
		c := name[n]
		if !isLetter(c) && !isDigit(c) && c != ' ' && c != '-' && c != '_' && c != '.' && c != '!' {
			break
		}
		n++
	}
	return strings.TrimRight(name[:n], " -_.")
}

// setAgent says what the event's agent says about itself.
func (w *Worker) setAgent(e *event.Event) {
	if e.Agent == "" {
		return
	}
	w.scratch = append(w.scratch[:0], e.Agent...)
	c, known := w.agents.slot(w.scratch)
	if !known {
		p := w.tables.agents.client(e.Agent)
		if c == nil {
			c = &p
		} else {
			*c = p
		}
	}
	if e.AgentFamily == "" {
		e.AgentFamily = c.family
	}
	if e.AgentOS == "" {
		e.AgentOS = c.os
	}
	if e.AgentKind == "" {
		e.AgentKind = c.kind
	}
}
