package main

import (
	"errors"
	"maps"
	"slices"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
)

// survey is a look at a log under way. Clients write the log, so each of its
// tables has a limit and says when it was reached.
type survey struct {
	p       *prepared
	files   []string
	worker  *enrich.Worker
	lookups map[string]func(string) bool
	recs    ingest.Records
	batch   event.Batch

	sampled, sampleRead     int
	lines, events, filtered int64
	directives              int64
	cut                     bool
	broken                  []string
	rejected                map[string]*rejectedLines

	times     timeFacts
	clock     *order
	fields    *fieldTally
	addresses addressTally
	endpoints endpointTally
	rules     []*ruleSight

	unread      *ingest.Unread // nil: lines have no keys
	unreadLines int
}

func newSurvey(p *prepared, o *inspectOptions) *survey {
	lines := ingest.Config{Format: p.format, Extras: p.extras}
	if o.format == "" && len(p.cfg.Sources) > 0 {
		lines = p.cfg.Sources[0].Config
		lines.Format, lines.Extras = p.format, p.extras
	}
	s := &survey{
		p: p, files: o.files, unread: ingest.NewUnread(lines), worker: p.tables.Worker(p.source.Enrich), lookups: p.tables.Lookups().Funcs(),
		rejected: map[string]*rejectedLines{}, fields: newFieldTally(p.key, p.extras),
		addresses: newAddressTally(), endpoints: newEndpointTally(),
	}
	for _, r := range p.rules {
		s.rules = append(s.rules, newRuleSight(r, p.extras))
	}
	return s
}

// inspection is what a look at a log found: what --json prints.
type inspection struct {
	Files     []string         `json:"files"`
	Format    formatFacts      `json:"format"`
	Lines     lineFacts        `json:"lines"`
	Rejected  []*rejectedLines `json:"rejected"`
	Broken    []string         `json:"broken_files,omitempty"`
	Time      timeFacts        `json:"time"`
	Fields    []fieldFacts     `json:"fields"`
	Missing   []missingField   `json:"missing_fields"`
	Unread    []string         `json:"unread_keys"` // of lines of JSON
	Addresses addressFacts     `json:"addresses"`
	Endpoints endpointsFacts   `json:"endpoints"`
	SiteFile  string           `json:"site_file"`
	Rules     []ruleFacts      `json:"rules"`

	config     string // its path, if one was given
	unreadMore bool   // there are others
}

type formatFacts struct {
	Name    string `json:"name"`
	Guessed bool   `json:"guessed"`
	Sampled int    `json:"sampled"`
	Read    int    `json:"read"`
}

type lineFacts struct {
	Read     int64 `json:"read"`
	Cut      bool  `json:"more_follow"`
	Events   int64 `json:"events"`
	Filtered int64 `json:"filtered"`
	Rejected int64 `json:"rejected"`
	Headers  int64 `json:"headers"` // such as #Fields:
}

// rejectedLines are the lines that could not be read for one reason.
type rejectedLines struct {
	Reason  string   `json:"reason"`
	Lines   int64    `json:"lines"`
	Samples []string `json:"samples"`
}

const (
	rejectSamples = 3
	rejectShown   = 200 // bytes of a line
)

func (s *survey) reject(err error, line []byte, n int64) {
	if errors.Is(err, ingest.ErrDirective) {
		s.directives += n
		return // says something about the log, and is no line of it
	}
	reason := err.Error()
	if m, ok := errors.AsType[*ingest.Malformed](err); ok {
		reason = m.Reason
	}
	r := s.rejected[reason] // decoders have a small fixed set of reasons
	if r == nil {
		r = &rejectedLines{Reason: reason}
		s.rejected[reason] = r
	}
	r.Lines += n
	if line != nil && len(r.Samples) < rejectSamples {
		r.Samples = append(r.Samples, ingest.Mask(line, rejectShown))
	}
}

// result puts together what was found.
func (s *survey) result(o *inspectOptions) *inspection {
	in := &inspection{
		Files:  o.files,
		Format: formatFacts{Name: s.p.format, Guessed: s.p.guessed, Sampled: s.sampled, Read: s.sampleRead},
		Lines:  lineFacts{Read: s.lines, Cut: s.cut, Events: s.events, Filtered: s.filtered, Headers: s.directives},
		Broken: s.broken, Time: s.times, config: o.config,
	}
	if in.Format.Name == "" {
		in.Format.Name = "pattern"
	}
	in.Time.summarise(s.events)
	for _, reason := range slices.Sorted(maps.Keys(s.rejected)) {
		in.Rejected = append(in.Rejected, s.rejected[reason])
		in.Lines.Rejected += s.rejected[reason].Lines
	}
	slices.SortStableFunc(in.Rejected, func(a, b *rejectedLines) int { return int(b.Lines - a.Lines) })
	in.Fields, in.Missing = s.fields.result(s.events, s.p.cfg)
	in.Unread = []string{}
	if s.unread != nil {
		in.Unread, in.unreadMore = s.unread.Names()
	}
	in.Addresses = s.addresses.result(s.events, len(s.p.source.Enrich.TrustedProxies) > 0, len(s.p.cfg.Enrich.Crawlers) > 0)
	in.Endpoints = s.endpoints.result()
	in.SiteFile = s.endpoints.siteFile()
	span := in.Time.To.Sub(in.Time.From)
	all := surveyed{kinds: s.endpoints.kinds, filled: s.fields.filledMask(), long: span > 24*time.Hour, extras: s.p.extras}
	blind := map[string]bool{}
	for range s.rules { // signals may stand in a row
		before := len(blind)
		for _, r := range s.rules {
			if r.judge(&all, blind).State == ruleBlind {
				blind[r.rule.ID] = true
			}
		}
		if len(blind) == before {
			break
		}
	}
	for _, r := range s.rules {
		in.Rules = append(in.Rules, r.judge(&all, blind))
	}
	return in
}
