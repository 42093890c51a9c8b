package enrich

import (
	"errors"
	"iter"
	"net/netip"
	"strings"

	"weir/event"
)

// Config says which tables there are.
type Config struct {
	ASN      string            `yaml:"asn"`      // MMDB, or CSV of start,end,asn,org; empty: none
	Crawlers []string          `yaml:"crawlers"` // files and directories of published ranges
	Lookups  map[string]string `yaml:"lookups"`  // files of values, by name

	Site *Site      `yaml:"-"` // nil: everything is guessed; it belongs to these tables then
	Key  *event.Key `yaml:"-"`
	// Compile makes a condition of an expression of the site file.
	Compile func(text string) (func(ev *event.Event) bool, error) `yaml:"-"`
}

// Tables are what events are enriched from. They do not change and are shared
// by all workers.
type Tables struct {
	key      *event.Key
	site     *Site
	nets     *Nets
	crawlers *Crawlers
	lookups  *Lookups
	agents   *agentPool
}

// New loads the tables.
func New(cfg Config) (*Tables, error) {
	if cfg.Key == nil {
		return nil, errors.New("enrich: no key")
	}
	t := &Tables{key: cfg.Key, agents: newAgentPool(cfg.Key)}
	var errs []error
	var err error
	if cfg.Site != nil {
		t.site = cfg.Site
		errs = append(errs, cfg.Site.compile(cfg.Compile))
	}
	if cfg.ASN != "" {
		t.nets, err = LoadNets(cfg.ASN)
		errs = append(errs, err)
	}
	if len(cfg.Crawlers) > 0 {
		t.crawlers, err = LoadCrawlers(cfg.Crawlers...)
		errs = append(errs, err)
	}
	t.lookups, err = LoadLookups(cfg.Lookups)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// Lookups returns the operator's sets.
func (t *Tables) Lookups() *Lookups { return t.lookups }

// Network returns the autonomous system of an address, whose it is and its
// country; 0 and "" where the table does not know.
func (t *Tables) Network(a netip.Addr) (asn uint32, org, country string) { return t.nets.Lookup(a) }

// CrawlerNets returns the ranges of verified crawlers and whose they are.
func (t *Tables) CrawlerNets() iter.Seq2[netip.Prefix, string] { return t.crawlers.All() }

// Source is what enriching must know of the source that events come from.
type Source struct {
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	// Reads reports whether anything looks at a field afterwards; nil: at all.
	// What costs much and is not looked at is left empty.
	Reads func(event.Field) bool
	// Memory is how many bytes each worker's caches may take; 0: as many as are
	// of use.
	Memory int64
}

// Worker enriches batches, one at a time. Its caches are its own and of fixed
// size, about 15 MB together unless they are to be smaller.
type Worker struct {
	tables  *Tables
	key     *event.Key
	chain   *Chain
	routes  router
	agents  *memo[client]
	strings *interner
	hide    *pseudonyms
	redact  *redactor

	noAgent, noReferer, noQuery bool // nobody looks at them

	scratch []byte
}

// internSlots is how many strings an interner holds, each at most 128 bytes.
const internSlots = 4096

// Worker makes a worker for a source's events.
func (t *Tables) Worker(src Source) *Worker {
	w := &Worker{tables: t, key: t.key, chain: NewChain(src.TrustedProxies)}
	part := src.part()
	w.strings = &interner{key: t.key, held: make([]string, internSlots/part)}
	w.agents = newMemo[client](t.key, agentSlots/part, maxAgent)
	w.hide = newPseudonyms(t.key, pseudonymSlots/part)
	var secrets []string
	w.routes = router{known: newMemo[route](t.key, routeSlots/part, maxRoute), strings: w.strings}
	if t.site != nil {
		secrets = t.site.Secrets
		w.routes.site, w.routes.hosts = t.site, t.site.hosts
	}
	w.redact = newRedactor(w.hide, secrets)
	if reads := src.Reads; reads != nil {
		w.noAgent = !reads(event.FieldAgentFamily) && !reads(event.FieldAgentOS) && !reads(event.FieldAgentKind)
		w.noReferer = !reads(event.FieldReferer)
		w.noQuery = !reads(event.FieldQuery) && t.site == nil // a site file's conditions may read it
	}
	return w
}

// cacheBytes is what a worker's caches take where they are not to be smaller, and
// leastPart the smallest part of them that is still of use.
const (
	cacheBytes = 15 << 20
	leastPart  = 256
)

// part returns which part of its caches each worker has: one of so many, a power
// of two.
func (src *Source) part() int {
	part := 1
	for src.Memory > 0 && part < leastPart && cacheBytes/int64(part) > src.Memory {
		part *= 2
	}
	return part
}

// Enrich fills in every event of a decoded batch. What it makes lives as long
// as the batch.
func (w *Worker) Enrich(b *event.Batch) {
	for i := range b.Events {
		w.enrich(&b.Events[i], &b.Arena)
	}
}

func (w *Worker) enrich(e *event.Event, mem *event.Arena) {
	w.setClient(e)
	e.Site = siteName(e.Site, mem)
	if !w.noAgent {
		w.setAgent(e)
	}
	w.setFingerprint(e, mem)

	// The item is cut from the path as it was asked for, so it comes before
	// the secrets in the path go.
	path := cleanPath(e.Path, mem)
	rt := w.routes.route(e.Method, e.Site, path)
	w.setSecrets(e, mem)
	w.setEndpoint(e, mem, rt, path)
	if e.Outcome == event.NoOutcome {
		e.Outcome, _ = rt.outcome(e)
	}
	if w.noQuery {
		e.Query = "" // it tells kinds apart, so it goes last
	}
}

// setClient finds whose address it is and what is known of it.
func (w *Worker) setClient(e *event.Event) {
	peer := e.IP // what the operator named counts before who connected
	if !peer.IsValid() {
		peer = e.Peer
	}
	e.IP = w.chain.Client(peer, e.Forwarded)
	e.Forwarded = ""
	if !e.IP.IsValid() {
		return
	}
	if n := w.tables.nets; n != nil {
		asn, org, country := n.Lookup(e.IP)
		if e.ASN == 0 {
			e.ASN = asn
		}
		if e.Org == "" && e.ASN == asn {
			e.Org = org
		}
		if e.Country == "" {
			e.Country = country
		}
	}
	if c := w.tables.crawlers; c != nil {
		e.Crawler = c.Name(e.IP)
	}
}

// siteName returns a host in lower case, without its port and a dot at the end.
func siteName(host string, mem *event.Arena) string {
	if host == "" {
		return host
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') && (host[0] == '[' || strings.IndexByte(host, ':') == i) {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if hasUpper(host) {
		host = mem.Keep(lowerInto(mem.Grow(len(host)), host))
	}
	return host
}

// setSecrets replaces everything that must not go on in the clear.
func (w *Worker) setSecrets(e *event.Event, mem *event.Arena) {
	if e.CredentialDomain != "" {
		e.CredentialDomain = domain(mem, e.CredentialDomain)
	} else {
		e.CredentialDomain = domainOf(mem, e.Credential)
	}
	e.Credential = w.hide.keep(mem, account, e.Credential)
	e.Session = w.hide.keep(mem, session, e.Session)
	e.Consumer = w.hide.keep(mem, consumer, e.Consumer)
	e.Path = w.redact.path(mem, e.Path)
	if !w.noQuery {
		e.Query = w.redact.query(mem, e.Query)
	}
	if w.noReferer {
		e.Referer = ""
	} else {
		e.Referer = w.redact.referer(mem, e.Referer)
	}
}

// setEndpoint says what was asked for. The event's query is free of secrets
// where anything of it stays.
func (w *Worker) setEndpoint(e *event.Event, mem *event.Arena, rt *route, path string) {
	e.Endpoint, e.Kind = rt.endpoint, rt.refined(e.Query)
	if rt.site != nil {
		e.Deprecated = rt.site.Deprecated
		if name := rt.site.parameter; name != "" {
			e.Item, _ = queryValue(e.Query, name)
			return
		}
	}
	if rt.to > rt.from {
		e.Item = w.redact.path(mem, path[rt.from:rt.to])
	}
}

// refined returns the kind where a query may change it.
func (rt *route) refined(query string) event.Kind {
	switch {
	case rt.login && query != "":
		return refineWordPress(rt.kind, query)
	case rt.root && rt.kind == event.NoKind && query != "":
		if _, ok := queryValue(query, "s"); ok {
			return event.Search
		}
	}
	return rt.kind
}

// outcome says what came of the request, and whether the site file says so.
func (rt *route) outcome(e *event.Event) (o event.Outcome, told bool) {
	s := rt.site
	if s == nil || s.failureMatch == nil && s.successMatch == nil {
		return guessOutcome(e.Kind, rt.profile, e.Method, e.Status), false
	}
	switch {
	case s.failureMatch != nil && s.failureMatch(e):
		return event.Failure, true
	case s.successMatch != nil && s.successMatch(e):
		return event.Success, true
	case e.Status == 0 || e.Status >= 500 || s.failureMatch != nil && s.successMatch != nil:
		return event.NoOutcome, true // nobody knows
	case s.successMatch != nil:
		return event.Failure, true
	}
	return event.Success, true
}
