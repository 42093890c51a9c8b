package simulate

import (
	"fmt"
	"strconv"
)

// client is a program that asks: what it says of itself, and how its TLS looks.
type client struct {
	agent, ja4, tls, protocol string
}

// family is a program in its versions.
type family struct {
	name     string
	agent    string // with %s for the version
	versions []string
	weight   int // of all people's requests, in thousandths
	hello    string
	ja4s     int // how many fingerprints a version has: with and without a resumed session and the like
}

// browsers are those of people. The weights are those of a shop of today; the
// shape of it, a tenth for the first agent and four fifths for the first
// hundred, is that of a blog's log of 2015.
var browsers = []family{
	{"Chrome Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%s.0.0.0 Safari/537.36", chromes, 235, "t13d1516h2", 3},
	{"Chrome Android", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%s.0.0.0 Mobile Safari/537.36", chromes, 190, "t13d1516h2", 3},
	{"Chrome Mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%s.0.0.0 Safari/537.36", chromes, 65, "t13d1516h2", 3},
	{"Safari iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS %[2]s like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%[1]s Mobile/15E148 Safari/604.1", safaris, 210, "t13d2014h2", 2},
	{"Safari Mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%s Safari/605.1.15", safaris, 50, "t13d2014h2", 2},
	{"Edge", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%[1]s.0.0.0 Safari/537.36 Edg/%[1]s.0.0.0", chromes, 85, "t13d1516h2", 3},
	{"Firefox", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%[1]s.0) Gecko/20100101 Firefox/%[1]s.0", firefoxes, 50, "t13d1715h2", 2},
	{"Firefox Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:%[1]s.0) Gecko/20100101 Firefox/%[1]s.0", firefoxes, 12, "t13d1715h2", 2},
	{"Samsung Internet", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/%s.0 Chrome/125.0.0.0 Mobile Safari/537.36", samsungs, 45, "t13d1516h2", 2},
	{"Google app iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/%s.0.7 Mobile/15E148 Safari/604.1", gsas, 30, "t13d2014h2", 2},
	{"Opera", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36 OPR/%s.0.0.0", operas, 28, "t13d1516h2", 2},
}

// Versions, the newest first. Most people have one of the first few.
var (
	chromes   = []string{"144", "145", "143", "142", "141", "139", "138", "136", "131", "126", "120", "109"}
	safaris   = []string{"18.3", "18.2", "18.1", "17.6", "17.5", "17.4", "16.6", "15.6"}
	firefoxes = []string{"147", "146", "145", "140", "128", "115"}
	samsungs  = []string{"27", "26", "25", "23"}
	gsas      = []string{"356", "351", "344"}
	operas    = []string{"126", "125", "122"}
)

// The apps of the site: those of today, and those for which an endpoint is kept.
var (
	apps = []family{
		{"app Android", "ShopApp/%s (Android 14; sdk 34)", []string{"7.4.1", "7.4.0", "7.3.2", "7.2.0"}, 560, "t13d1210h2", 2},
		{"app iPhone", "ShopApp/%s CFNetwork/1568.300.101 Darwin/24.2.0", []string{"7.4.1", "7.4.0", "7.3.1", "7.1.4"}, 440, "t13d2014h2", 2},
	}
	oldApps = []family{
		{"old app Android", "ShopApp/%s (Android 9; sdk 28)", []string{"4.9.3", "4.9.1", "4.8.0", "4.2.2"}, 700, "t12d1209h2", 2},
		{"old app iPhone", "ShopApp/%s CFNetwork/978.0.7 Darwin/18.7.0", []string{"4.9.2", "4.7.0"}, 300, "t12d1808h2", 1},
	}
)

// clientsOf are pools that scenarios name.
var clientsOf = map[string][]family{"browsers": browsers, "apps": apps, "old_apps": oldApps}

// languages are what people's browsers say, the commonest first.
var languages = []string{
	"en-US,en;q=0.9", "en-US,en;q=0.5", "en-us", "en-GB,en;q=0.9", "es-US,es;q=0.9,en;q=0.8", "en-US,en;q=0.9,es;q=0.8",
	"de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9,en;q=0.8", "zh-CN,zh;q=0.9,en;q=0.8", "vi-VN,vi;q=0.9,en;q=0.8", "pt-BR,pt;q=0.9", "ko-KR,ko;q=0.9",
}

// pick returns a client of a pool: the same one for the same random numbers.
func pick(pool []family, r *random) client {
	var total int
	for i := range pool {
		total += pool[i].weight
	}
	at := int(r.below(uint64(total)))
	f := &pool[0]
	for i := range pool {
		if f = &pool[i]; at < f.weight {
			break
		}
		at -= f.weight
	}
	return f.client(int(r.skewed(uint64(len(f.versions)))), int(r.skewed(uint64(f.ja4s))))
}

func (f *family) client(version, ja4 int) client {
	v := f.versions[version]
	c := client{agent: fmt.Sprintf(f.agent, withUnderscore(f.agent, v)...), tls: "TLSv1.3", protocol: "HTTP/2.0"}
	if f.hello[1:3] == "12" {
		c.tls = "TLSv1.2"
	}
	// Versions share their TLS with those before and after them: one hello in
	// four versions is a new one.
	c.ja4 = ja4Of(f.hello, uint64(version/4), uint64(ja4))
	return c
}

// withUnderscore gives the values for a template of an agent: the version, and
// where it has a second place, the version as an operating system writes it.
func withUnderscore(template, v string) []any {
	for i := 0; i+2 < len(template); i++ {
		if template[i:i+3] == "[2]" {
			u := []byte(v)
			for i, c := range u {
				if c == '.' {
					u[i] = '_'
				}
			}
			return []any{v, string(u)}
		}
	}
	return []any{v}
}

// ja4Of makes a fingerprint of the form that JA4 has.
func ja4Of(hello string, numbers ...uint64) string {
	r := stream(0, hello, numbers...)
	const digits = "0123456789abcdef"
	b := append(make([]byte, 0, 36), hello...)
	for range 2 {
		b = append(b, '_')
		for range 12 {
			b = append(b, digits[r.below(16)])
		}
	}
	return string(b)
}

// catalogue makes clients and keeps them.
type catalogue struct {
	pools map[string][]client // many of each pool, to draw from
}

// drawn is how many clients stand for a pool: a draw from them is as good as a
// draw from the pool, whose clients are some hundreds.
const drawn = 4096

// tail is for how many people with a browser there is one with something rare.
const tail = 12

// of returns the clients of a pool by a scenario's name for it: browsers, apps,
// old_apps; rare for a tail in which hardly two are the same; new for versions
// that nobody has seen yet.
func (c *catalogue) of(name string) []client {
	if c.pools == nil {
		c.pools = map[string][]client{}
	}
	if p, ok := c.pools[name]; ok {
		return p
	}
	var p []client
	r := stream(0, "clients", uint64(len(name)), uint64(name[0]))
	switch name {
	case "rare":
		for i := range drawn {
			p = append(p, rare(i, &r))
		}
	case "new":
		f := browsers[0]
		f.versions, f.hello = []string{"147"}, "t13d1517h2"
		p = append(p, f.client(0, 0), f.client(0, 1))
		f = browsers[3]
		f.versions, f.hello = []string{"18.4"}, "t13d2015h2"
		p = append(p, f.client(0, 0))
	default:
		for i := range drawn {
			if name == "browsers" && i%tail == 0 {
				p = append(p, rare(i/tail, &r))
				continue
			}
			p = append(p, pick(clientsOf[name], &r))
		}
	}
	c.pools[name] = p
	return p
}

// rare is one of the tail: old telephones, televisions, small browsers, and
// machines whose virus scanner or company opens the connection and makes a new
// one, so that the TLS is not the browser's.
func rare(i int, r *random) client {
	hellos := []string{"t13d1714h2", "t12d2108h1", "t13d3112h2", "t12d1410h1", "t13d1312h1", "t12d2407h2"}
	n := int(r.skewed(360))
	c := client{tls: "TLSv1.2", protocol: "HTTP/1.1", ja4: ja4Of(hellos[n%len(hellos)], uint64(n))}
	if n%3 == 0 {
		c.tls, c.protocol = "TLSv1.3", "HTTP/2.0"
	}
	v := strconv.Itoa(70 + n%60)
	switch i % 4 {
	case 0:
		c.agent = "Mozilla/5.0 (Linux; Android " + strconv.Itoa(6+n%8) + "; SM-G" + strconv.Itoa(900+n) + "F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + v + ".0." + strconv.Itoa(3000+n*7) + "." + strconv.Itoa(n%150) + " Mobile Safari/537.36"
	case 1:
		c.agent = "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + v + ".0." + strconv.Itoa(3000+n*11) + ".0 Safari/537.36"
	case 2:
		c.agent = "Mozilla/5.0 (SMART-TV; Linux; Tizen " + strconv.Itoa(3+n%5) + ".0) AppleWebKit/537.36 (KHTML, like Gecko) Version/" + strconv.Itoa(3+n%5) + ".0 TV Safari/537.36"
	case 3:
		c.agent = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:" + v + ".0) Gecko/20100101 Firefox/" + v + ".0"
	}
	return c
}

// The tools of attackers. What they say of themselves may be anybody's; their
// TLS is that of what they are written in.
func toolClient(says []client, name string, generation uint64, r *random) client {
	c := says[r.below(uint64(len(says)))]
	own := stream(0, name, generation)
	hellos := []string{"t13d1311h2", "t13i1810h1", "t12d1510h1", "t13d2613h2", "t13d0912h2"}
	c.ja4 = ja4Of(hellos[own.below(uint64(len(hellos)))], own.next())
	c.protocol = []string{"HTTP/1.1", "HTTP/2.0"}[own.below(2)]
	return c
}
