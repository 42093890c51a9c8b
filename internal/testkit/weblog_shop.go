package testkit

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// logAddress is a client address: an IPv4 one, or the 32 bits behind
// 2001:db8::/32 of an IPv6 one's /64.
type logAddress struct {
	v4 uint32
	v6 uint64
}

func (a logAddress) append(b []byte) []byte {
	if a.v6 != 0 {
		b = append(b, "2001:db8:"...)
		b = strconv.AppendUint(b, a.v6>>16, 16)
		b = append(b, ':')
		b = strconv.AppendUint(b, a.v6&0xffff, 16)
		return append(b, "::7"...)
	}
	for shift := 24; shift >= 0; shift -= 8 {
		b = strconv.AppendUint(b, uint64(a.v4>>shift&255), 10)
		if shift > 0 {
			b = append(b, '.')
		}
	}
	return b
}

const (
	regulars   = 30_000           // addresses of the zipf head
	headBase   = 198<<24 | 18<<16 // 198.18.0.0/15
	tailBase   = 100<<24 | 64<<16 // 100.64.0.0/10: nobody's public address
	tailSize   = 1 << 22
	tailV6     = 1 << 22
	allClients = regulars + tailSize + tailV6
	agentCount = 3000
)

// hit is one request of a log. Its texts are pieces of the shop's tables.
type hit struct {
	address  logAddress
	client   int // which visitor: agent, session and the like follow from it
	method   string
	path     string
	number   int // appended to the path where it is not negative
	suffix   string
	status   int
	bytes    int
	millis   int
	referer  string
	agent    string
	ja4      string
	language string
	user     int // of a login or sign-up; negative: none
	session  bool
}

// shop makes the traffic of honest visitors.
type shop struct {
	rng       *rand.Rand
	zipf      *rand.Zipf
	agents    []string
	ja4s      []string
	languages []string
	referers  []string
	assets    []string
	tail      uint64 // IPv4 addresses that are no regulars'
	tailV6    uint64
	hit       hit
}

func newShop(seed uint64, addresses int) *shop {
	s := &shop{rng: random(seed, 10), tail: tailSize, tailV6: tailV6}
	if addresses > 0 {
		s.tailV6 = max(1, min(uint64(addresses)/8, tailV6))
		s.tail = max(1, min(uint64(addresses)-s.tailV6, tailSize))
	}
	s.zipf = rand.NewZipf(random(seed, 11), 1.1, 20, regulars-1)
	s.agents = agents(random(seed, 12))
	names := random(seed, 13)
	for range 400 {
		s.ja4s = append(s.ja4s, fmt.Sprintf("t13d15%02dh2_%012x_%012x", names.IntN(100), names.Uint64()>>16, names.Uint64()>>16))
	}
	s.languages = []string{"de-DE,de;q=0.9,en;q=0.8", "en-GB,en;q=0.9", "fr-FR,fr;q=0.9,en;q=0.7", "en-US,en;q=0.5", "pl-PL,pl;q=0.9,en-US;q=0.8"}
	s.referers = []string{"-", "https://shop.example/", "https://shop.example/category/shoes", "https://shop.example/search?q=boots", "https://search.example/"}
	for i := range 60 {
		s.assets = append(s.assets, fmt.Sprintf("/static/js/chunk-%08x.js", names.Uint32()), fmt.Sprintf("/static/img/banner-%d.webp", i))
	}
	return s
}

// agents returns the texts that browsers of different versions send.
func agents(rng *rand.Rand) []string {
	systems := []string{
		"Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64",
		"iPhone; CPU iPhone OS 17_%d like Mac OS X", "Linux; Android %d; K",
	}
	list := make([]string, 0, agentCount)
	for len(list) < agentCount {
		system := systems[rng.IntN(len(systems))]
		if system[len(system)-1] == 'K' || system[0] == 'i' {
			system = fmt.Sprintf(system, 4+rng.IntN(11))
		}
		list = append(list, fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36",
			system, 96+rng.IntN(45), 4000+rng.IntN(3000), rng.IntN(200)))
	}
	return list
}

// visitor picks who comes: a regular, or somebody from anywhere.
func (s *shop) visitor() {
	h := &s.hit
	switch u := s.rng.Uint64(); {
	case u&1 == 0:
		h.client = int(s.zipf.Uint64())
		h.address = logAddress{v4: headBase + uint32(h.client)}
	case u>>1&7 == 0:
		n := u >> 8 % s.tailV6
		h.client = int(regulars + tailSize + n)
		h.address = logAddress{v6: (0x1000|n>>12)<<16 | 0x1000 | n&0xfff}
	default:
		n := u >> 8 % s.tail
		h.client = int(regulars + n)
		h.address = logAddress{v4: tailBase + uint32(n)}
	}
	s.dress(h.client)
}

// dress gives a client the properties that it always has.
func (s *shop) dress(client int) {
	h := &s.hit
	mixed := uint64(client+1) * 0x9e3779b97f4a7c15
	h.agent = s.agents[mixed>>20%agentCount]
	h.ja4 = s.ja4s[mixed>>20%agentCount*7%uint64(len(s.ja4s))]
	h.language = s.languages[mixed>>40%uint64(len(s.languages))]
	h.referer = s.referers[s.rng.IntN(len(s.referers))]
	h.user, h.session, h.number, h.suffix = -1, true, -1, ""
}

// next makes an honest request.
func (s *shop) next() {
	s.visitor()
	h := &s.hit
	h.method, h.status = "GET", 200
	h.bytes, h.millis = 300+s.rng.IntN(40_000), 1+s.rng.IntN(400)
	switch u := s.rng.IntN(1000); {
	case u < 420:
		h.path = s.assets[s.rng.IntN(len(s.assets))]
		if u < 120 {
			h.status, h.bytes = 304, 0
		}
	case u < 500:
		h.path = "/"
	case u < 700:
		h.path, h.number = "/products/", 1+s.rng.IntN(40_000)
	case u < 780:
		h.path, h.number, h.suffix = "/category/shoes?page=", 1+s.rng.IntN(40), "&sort=price"
	case u < 850:
		h.path, h.number = "/search?q=boots+size+", 30+s.rng.IntN(18)
	case u < 900:
		h.method, h.path = "POST", "/cart/items"
	case u < 940:
		h.path = "/account"
	case u < 950:
		h.method, h.path = "POST", "/checkout"
	case u < 980:
		h.method, h.path, h.user, h.status = "POST", "/login", h.client, 302
		if s.rng.IntN(100) < 8 {
			h.status = 401
		}
	case u < 986:
		h.method, h.path, h.user, h.status = "POST", "/signup", h.client, 201
	default:
		h.path, h.number, h.status = "/old/page-", s.rng.IntN(500), 404
	}
}
